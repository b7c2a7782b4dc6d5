/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli), as the PROXY protocol's checksum and RFC 3720 section 12.1 have it. Guards against accidents,
 * not against attackers. */
#ifndef PROXY_BASE_CRC32C_H
#define PROXY_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t len);

#endif
