/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers read and written. The bytes are put together here by hand from the specification's tables, not by the
 * code under test; every whole header is also read split at each of its bytes.
 */
#include "net/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define SIGNATURE "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"
#define ENDS4 "\xC0\x00\x02\x07\xC6\x33\x64\x09\x9C\x40\x14\x66" /* 192.0.2.7:40000 198.51.100.9:5222 */
#define TCP4_V2 SIGNATURE "\x21\x11\x00\x0C" ENDS4
#define IP6_A "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define IP6_B "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x09"
#define CRC_GOOD "\x68\xB7\x94\x18"
#define CRC_BAD "\x68\xB7\x94\x19"
#define BYTES(text) (text), sizeof(text) - 1

static enum proxy_result feed_in(struct proxy_parser *p, const char *data, size_t len, size_t piece, size_t *used)
{
	enum proxy_result result = PROXY_MORE;

	*used = 0;
	while (*used < len && result == PROXY_MORE) {
		size_t n = len - *used < piece ? len - *used : piece, taken = 0;

		result = proxy_parser_feed(p, data + *used, n, &taken);
		assert_true(taken <= n && (taken == n || result != PROXY_MORE));
		*used += taken;
	}
	return result;
}

static void assert_ends(const struct proxy_header *h, const char *source, const char *destination)
{
	char text[ADDR_TEXT_SIZE];

	addr_text(&h->source, text);
	assert_string_equal(text, source);
	addr_text(&h->destination, text);
	assert_string_equal(text, destination);
}

static void expect(const char *data, size_t len, const char *source, const char *destination)
{
	char more[4096];

	memcpy(more, data, len);
	memcpy(more + len, "\x16\x03\x01", 3);
	for (size_t piece = 1; piece <= len + 3; piece++) {
		struct proxy_parser *p = proxy_parser_new();
		size_t used;

		assert_false(proxy_parser_begun(p));
		assert_int_equal(feed_in(p, more, len + 3, piece, &used), PROXY_COMPLETE);
		assert_true(proxy_parser_begun(p));
		assert_int_equal(used, len);
		assert_ends(proxy_parser_header(p), source, destination);
		proxy_parser_free(&p);
		assert_null(p);
	}
	for (size_t cut = 0; cut < len; cut++) {
		struct proxy_parser *p = proxy_parser_new();
		size_t used;

		assert_int_equal(feed_in(p, data, cut, 7, &used), PROXY_MORE);
		assert_int_equal(used, cut);
		proxy_parser_free(&p);
	}
}

/* Malformed at exactly byte number `at` (from 1), however it is split. */
static void expect_bad(const char *data, size_t len, size_t at, const char *why)
{
	for (size_t piece = 1; piece <= len; piece += piece < 8 ? 1 : len) {
		struct proxy_parser *p = proxy_parser_new();
		size_t used;

		assert_int_equal(feed_in(p, data, len, piece, &used), PROXY_MALFORMED);
		assert_int_equal(used, at);
		assert_string_equal(proxy_parser_why(p), why);
		proxy_parser_free(&p);
	}
}

static void test_v1(void **state)
{
	(void)state;
	expect(BYTES("PROXY TCP4 192.0.2.7 198.51.100.9 40000 5222\r\n"), "192.0.2.7:40000", "198.51.100.9:5222");
	expect(BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535",
	       "255.255.255.255:65535");
	expect(BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0", "0.0.0.0:0");
	expect(BYTES("PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:9 40000 5222\r\n"), "[2001:db8::7]:40000",
	       "[2001:db8::9]:5222");
	expect(BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "192.0.2.7:1", "[::1]:2");
	expect(BYTES("PROXY UNKNOWN\r\n"), "", "");
	expect(BYTES("PROXY UNKNOWN \r\n"), "", "");
	/* The longest line that the specification names: 107 bytes. */
	expect(BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		     "65535 65535\r\n"),
	       "", "");
	expect(BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 "
		     "65534\r\n"),
	       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65534");
}

static void expect_bad_line(const char *line, const char *why)
{
	expect_bad(line, strlen(line), strlen(line), why);
}

static void test_v1_malformed(void **state)
{
	static const char *const none[] = {
	    "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",    "PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 256.2.3.4 5.6.7.8 1 2\r\n",   "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",    "PROXY TCP4 1.2.3.4 5.6.7.8 00 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",    "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2a\r\n",    "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
	    "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",         "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY TCP6 ::1%lo ::1 1 2\r\n",          "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
	    "PROXY TCP4 1.2.3.4\t5.6.7.8 1 2 3\r\n",  "PROXY TCP4  1.2.3.4 5.6.7.8 1\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
	};
	static const char *const count[] = {
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "PROXY TCP4 \r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
	};
	static const char *const protocol[] = {
	    "PROXY TCP4\r\n",
	    "PROXY \r\n",
	    "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY UNKNOWNX\r\n",
	    "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	};
	char line[200];

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		expect_bad_line(none[i], "an address or port in it is none");
	for (size_t i = 0; i < sizeof(count) / sizeof(count[0]); i++)
		expect_bad_line(count[i], "a version 1 header has two addresses and two ports");
	for (size_t i = 0; i < sizeof(protocol) / sizeof(protocol[0]); i++)
		expect_bad_line(protocol[i], "its protocol is none of TCP4, TCP6, UNKNOWN");
	expect_bad_line("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "its line does not end in CRLF");
	expect_bad_line("PROXY \n", "its line does not end in CRLF");
	expect_bad(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\0\r\n"), 33, "a NUL byte in its line");
	expect_bad(BYTES("PROXY UNKNOWN\0\r\n"), 16, "a NUL byte in its line");
	(void)snprintf(line, sizeof(line), "PROXY UNKNOWN %092d\r\n", 0);
	expect_bad(line, strlen(line), 107, "its line is longer than 107 bytes");
}

static void test_no_header(void **state)
{
	(void)state;
	expect_bad(BYTES("<?xml version='1.0'?>"), 1, "there is none");
	expect_bad(BYTES("\x16\x03\x01"), 1, "there is none");
	expect_bad(BYTES("PROXX"), 5, "there is none");
	expect_bad(BYTES("PROXY\tTCP4"), 6, "there is none");
	expect_bad(BYTES("\r\n\r\n<"), 5, "there is none");
	expect_bad(BYTES("\r\n\r\n\0\r\nQUIT\r"), 12, "there is none");
	expect_bad(BYTES("\0"), 1, "there is none");
}

static void test_v2(void **state)
{
	char path[300] = SIGNATURE "\x21\x31\x00\xD8", want[ADDR_TEXT_SIZE];

	(void)state;
	expect(BYTES(TCP4_V2), "192.0.2.7:40000", "198.51.100.9:5222");
	expect(BYTES(SIGNATURE "\x21\x21\x00\x24" IP6_A IP6_B "\x9C\x40\x14\x66"), "[2001:db8::7]:40000",
	       "[2001:db8::9]:5222");
	/* With extensions: ALPN, one of no meaning to us, one that is empty, NOOP. */
	expect(BYTES(SIGNATURE "\x21\x11\x00\x21" ENDS4 "\x01\x00\x0Bxmpp-client\xEA\x00\x01X\x04\x00\x00"),
	       "192.0.2.7:40000", "198.51.100.9:5222");
	expect(BYTES(SIGNATURE "\x21\x00\x00\x00"), "", "");
	expect(BYTES(SIGNATURE "\x21\x00\x00\x04\x04\x00\x01\x00"), "", "");
	/* LOCAL: the family and all behind are ignored, whatever they are. */
	expect(BYTES(SIGNATURE "\x20\x00\x00\x00"), "", "");
	expect(BYTES(SIGNATURE "\x20\x11\x00\x0C" ENDS4), "", "");
	expect(BYTES(SIGNATURE "\x20\xFF\x00\x02\x00\x00"), "", "");
	memset(path + 16, 'a', 108);
	(void)memcpy(path + 16 + 108, "/run/b", 6);
	memset(want, 'a', 113);
	memcpy(want, "unix:", 5);
	want[113] = '\0';
	expect(path, 16 + 216, want, "unix:/run/b");
}

static void test_v2_malformed(void **state)
{
	static char big[16 + 3000] = SIGNATURE "\x21\x11\x08\x01";

	(void)state;
	expect_bad(BYTES(SIGNATURE "\x11\x11\x00\x0C" ENDS4), 13, "its version or command is unknown");
	expect_bad(BYTES(SIGNATURE "\x22\x11\x00\x0C" ENDS4), 13, "its version or command is unknown");
	expect_bad(BYTES(SIGNATURE "\x31\x11\x00\x0C" ENDS4), 13, "its version or command is unknown");
	expect_bad(BYTES(SIGNATURE "\x21\x12\x00\x0C" ENDS4), 14, "its address family or transport cannot be used");
	expect_bad(BYTES(SIGNATURE "\x21\x10\x00\x0C" ENDS4), 14, "its address family or transport cannot be used");
	expect_bad(BYTES(SIGNATURE "\x21\x01\x00\x0C" ENDS4), 14, "its address family or transport cannot be used");
	expect_bad(BYTES(SIGNATURE "\x21\x41\x00\x0C" ENDS4), 14, "its address family or transport cannot be used");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x0B\xC0\x00\x02\x07\xC6\x33\x64\x09\x9C\x40\x14"), 27,
		   "its addresses are cut off");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x00"), 16, "its addresses are cut off");
	expect_bad(BYTES(SIGNATURE "\x21\x21\x00\x0C" ENDS4), 28, "its addresses are cut off");
	expect_bad(BYTES(SIGNATURE "\x21\x31\x00\x0C" ENDS4), 28, "its addresses are cut off");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x0D" ENDS4 "\x04"), 29, "an extension in it is cut off");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x0E" ENDS4 "\x04\x00"), 30, "an extension in it is cut off");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x0F" ENDS4 "\x04\x00\x01"), 31, "an extension in it is cut off");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x10" ENDS4 "\x04\xFF\xFF\x00"), 32, "an extension in it is cut off");
	expect_bad(big, sizeof(big), 16, "it is longer than 2048 bytes");
	big[14] = (char)0xFF;
	expect_bad(big, sizeof(big), 16, "it is longer than 2048 bytes");
}

/* 2048 bytes behind the fixed part are taken. */
static void test_v2_longest(void **state)
{
	static char big[16 + 2048] = SIGNATURE "\x21\x11\x08\x00" ENDS4 "\x04\x07\xF1";

	(void)state;
	expect(big, sizeof(big), "192.0.2.7:40000", "198.51.100.9:5222");
}

/* The checksum was computed by another program: CRC-32C of the header with zeros in its place. */
static void test_v2_checksum(void **state)
{
	(void)state;
	expect(BYTES(SIGNATURE "\x21\x11\x00\x13" ENDS4 "\x03\x00\x04" CRC_GOOD), "192.0.2.7:40000",
	       "198.51.100.9:5222");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x13" ENDS4 "\x03\x00\x04" CRC_BAD), 35, "its checksum is wrong");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x13" ENDS4 "\x03\x00\x04\0\0\0\0"), 35, "its checksum is wrong");
	expect_bad(BYTES(SIGNATURE "\x21\x11\x00\x12" ENDS4 "\x03\x00\x03\0\0\0"), 34, "its checksum is wrong");
}

static struct addr address(const char *text)
{
	struct addr a;
	const char *why;

	assert_int_equal(addr_parse(&a, text, true, &why), 0);
	return a;
}

static void assert_v1(const char *source, const char *destination, const char *want)
{
	struct addr a = address(source), b = address(destination);
	struct strbuf out;

	strbuf_init(&out, 200);
	proxy_header_write_v1(&out, &a, &b);
	assert_string_equal(strbuf_text(&out), want);
	strbuf_fini(&out);
}

static void test_write_v1(void **state)
{
	(void)state;
	assert_v1("192.0.2.7:40000", "198.51.100.9:5222", "PROXY TCP4 192.0.2.7 198.51.100.9 40000 5222\r\n");
	assert_v1("[::ffff:192.0.2.7]:40000", "[::ffff:198.51.100.9]:5222",
		  "PROXY TCP4 192.0.2.7 198.51.100.9 40000 5222\r\n");
	assert_v1("[2001:db8::7]:40000", "[2001:db8::9]:5222", "PROXY TCP6 2001:db8::7 2001:db8::9 40000 5222\r\n");
	assert_v1("192.0.2.7:40000", "[2001:db8::9]:5222", "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::9 40000 5222\r\n");
	assert_v1("unix:/run/a", "198.51.100.9:5222", "PROXY UNKNOWN\r\n");
	assert_v1("192.0.2.7:40000", "unix:/run/a", "PROXY UNKNOWN\r\n");
}

static void assert_v2(const char *source, const char *destination, const struct proxy_tlvs *tlvs, const char *want,
		      size_t len)
{
	struct addr a = address(source), b = address(destination);
	struct strbuf out;

	strbuf_init(&out, 4096);
	strbuf_puts(&out, "before");
	proxy_header_write_v2(&out, &a, &b, tlvs);
	assert_int_equal(out.len, 6 + len);
	assert_memory_equal(out.data + 6, want, len);
	strbuf_fini(&out);
}

static void test_write_v2(void **state)
{
	static const struct proxy_tlvs nothing = {0}, sum = {.checksum = true},
				       bare = {.cipher = "x", .client_name = "y"};

	(void)state;
	assert_v2("192.0.2.7:40000", "198.51.100.9:5222", &nothing, BYTES(TCP4_V2));
	assert_v2("[::ffff:192.0.2.7]:40000", "198.51.100.9:5222", &nothing, BYTES(TCP4_V2));
	assert_v2("192.0.2.7:40000", "198.51.100.9:5222", &bare, BYTES(TCP4_V2));
	assert_v2("[2001:db8::7]:40000", "[2001:db8::9]:5222", &nothing,
		  BYTES(SIGNATURE "\x21\x21\x00\x24" IP6_A IP6_B "\x9C\x40\x14\x66"));
	assert_v2("unix:/a", "unix:/b", &nothing, BYTES(SIGNATURE "\x21\x00\x00\x00"));
	assert_v2("192.0.2.7:40000", "198.51.100.9:5222", &sum,
		  BYTES(SIGNATURE "\x21\x11\x00\x13" ENDS4 "\x03\x00\x04" CRC_GOOD));
}

static void test_write_v2_tls(void **state)
{
	struct proxy_tlvs tlvs = {.alpn = "xmpp-client",
				  .authority = "im.test",
				  .tls_version = "TLSv1.3",
				  .cipher = "TLS_AES_128_GCM_SHA256",
				  .client_name = "not said without a certificate"};

	(void)state;
	assert_v2("192.0.2.7:40000", "198.51.100.9:5222", &tlvs,
		  BYTES(SIGNATURE
			"\x21\x11\x00\x4F" ENDS4 "\x01\x00\x0Bxmpp-client\x02\x00\x07im.test"
			"\x20\x00\x28\x01\x00\x00\x00\x01\x21\x00\x07TLSv1.3\x23\x00\x16TLS_AES_128_GCM_SHA256"));
	tlvs = (struct proxy_tlvs){.tls_version = "TLSv1.2",
				   .client_certificate = true,
				   .client_verified = true,
				   .full_handshake = true,
				   .client_name = "romeo"};
	assert_v2("192.0.2.7:40000", "198.51.100.9:5222", &tlvs,
		  BYTES(SIGNATURE "\x21\x11\x00\x26" ENDS4
				  "\x20\x00\x17\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.2\x22\x00\x05romeo"));
	tlvs.full_handshake = tlvs.client_verified = false;
	assert_v2("192.0.2.7:40000", "198.51.100.9:5222", &tlvs,
		  BYTES(SIGNATURE "\x21\x11\x00\x26" ENDS4
				  "\x20\x00\x17\x05\x00\x00\x00\x01\x21\x00\x07TLSv1.2\x22\x00\x05romeo"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_v1),           cmocka_unit_test(test_v1_malformed), cmocka_unit_test(test_no_header),
	    cmocka_unit_test(test_v2),           cmocka_unit_test(test_v2_malformed), cmocka_unit_test(test_v2_longest),
	    cmocka_unit_test(test_v2_checksum),  cmocka_unit_test(test_write_v1),     cmocka_unit_test(test_write_v2),
	    cmocka_unit_test(test_write_v2_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
