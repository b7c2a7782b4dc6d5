/* SPDX-License-Identifier: MIT */
/* CRC-32C, a bit at a time: it is asked for a few hundred bytes once a connection, where a table would cost more cache
 * than it saves. */
#include "base/crc32c.h"

#define POLYNOMIAL 0x82F63B78U /* of Castagnoli, bits reversed */

uint32_t crc32c(const void *data, size_t len)
{
	const unsigned char *at = data;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}
