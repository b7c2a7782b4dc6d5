/* SPDX-License-Identifier: MIT */
/*
 * The OCSP response to staple (TLS-23) as the operator's tool fetched it: DER in memory. It is only judged, never
 * fetched. What is wrong with it is found before a client would, which is told nothing but a broken handshake.
 */
#include "tls/ocsp_private.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/mem.h"
#include "policy/diag.h"
#include "tls/store.h"

#define NEAR_END_S 86400
#define CLOCK_SLACK_S 300

static OCSP_BASICRESP *parse(const struct config_file *file, int *status_out)
{
	const unsigned char *der = (const unsigned char *)file->data;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, (long)file->len);
	OCSP_BASICRESP *basic = NULL;

	*status_out = -1;
	if (response && der == (const unsigned char *)file->data + file->len) {
		*status_out = OCSP_response_status(response);
		if (*status_out == OCSP_RESPONSE_STATUS_SUCCESSFUL)
			basic = OCSP_response_get1_basic(response);
	}
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return basic;
}

int64_t tls_ocsp_until(const struct config_file *file)
{
	int status;
	OCSP_BASICRESP *basic = parse(file, &status);
	int64_t until = basic ? INT64_MAX : 0;

	for (int i = 0; basic && i < OCSP_resp_count(basic); i++) {
		ASN1_GENERALIZEDTIME *next = NULL;
		int64_t at;

		(void)OCSP_single_get0_status(OCSP_resp_get0(basic, i), NULL, NULL, NULL, &next);
		if (next && (!tls_asn1_time(next, &at) || at < until))
			until = tls_asn1_time(next, &at) ? at : 0;
	}
	OCSP_BASICRESP_free(basic);
	return until;
}

/* With the issuer at hand the whole identifier is compared, under the digest the responder chose; else the serial. */
static bool is_about(const OCSP_SINGLERESP *single, const X509 *leaf, const X509 *issuer)
{
	/* The getter is not const-correct but only reads. */
	OCSP_CERTID *id = OCSP_CERTID_dup(OCSP_SINGLERESP_get0_id(single));
	ASN1_OBJECT *digest = NULL;
	ASN1_INTEGER *serial = NULL;
	bool same = false;

	if (id && OCSP_id_get0_info(NULL, &digest, NULL, &serial, id) == 1) {
		OCSP_CERTID *ours = NULL;

		if (issuer)
			ours = OCSP_cert_to_id(EVP_get_digestbyobj(digest), leaf, issuer);
		if (issuer)
			same = ours && OCSP_id_cmp(id, ours) == 0;
		else
			same = ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0;
		OCSP_CERTID_free(ours);
	}
	OCSP_CERTID_free(id);
	return same;
}

static OCSP_SINGLERESP *find(OCSP_BASICRESP *basic, const struct tls_credential *c)
{
	const X509 *issuer = tls_credential_issuer(c);

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

		if (is_about(single, c->cert[0], issuer))
			return single;
	}
	return NULL;
}

static bool is_signed_by_issuer(OCSP_BASICRESP *basic, X509 *issuer, int64_t now)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *certs = sk_X509_new_null();
	bool ok = false;

	if (store && certs && X509_STORE_add_cert(store, issuer) && sk_X509_push(certs, issuer)) {
		X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)now);
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
		ok = OCSP_basic_verify(basic, certs, store, 0) == 1;
	}
	sk_X509_free(certs);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

static void check_times(const struct config_file *file, const ASN1_GENERALIZEDTIME *from,
			const ASN1_GENERALIZEDTIME *until, int64_t now, struct diag_list *diags)
{
	char date[TLS_DATE_SIZE];
	int64_t at;

	if (!tls_asn1_time(from, &at) || at > now + CLOCK_SLACK_S)
		diag_add(diags, DIAG_ERROR, file->mark,
			 "ocsp-response: not valid yet: check the clock of this machine");
	if (!until)
		return;
	if (!tls_asn1_time(until, &at)) {
		diag_add(diags, DIAG_ERROR, file->mark, "ocsp-response: unreadable nextUpdate");
		return;
	}
	tls_date(at, date);
	if (at <= now)
		diag_add(diags, DIAG_ERROR, file->mark, "ocsp-response: expired on %s: fetch a new one", date);
	else if (at - now < NEAR_END_S)
		diag_add(diags, DIAG_WARNING, file->mark, "ocsp-response: expires in less than a day, on %s", date);
}

static void check_single(const struct config_file *file, OCSP_SINGLERESP *single, int64_t now, struct diag_list *diags)
{
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
	int status = OCSP_single_get0_status(single, NULL, NULL, &from, &until);

	if (status == V_OCSP_CERTSTATUS_REVOKED)
		diag_add(diags, DIAG_ERROR, file->mark,
			 "ocsp-response: says that the certificate is revoked: get a new certificate");
	else if (status != V_OCSP_CERTSTATUS_GOOD)
		diag_add(diags, DIAG_ERROR, file->mark, "ocsp-response: the responder does not know the certificate");
	check_times(file, from, until, now, diags);
}

void tls_ocsp_check(const struct config_file *file, const struct tls_credential *c, int64_t now,
		    struct diag_list *diags)
{
	int status;
	OCSP_BASICRESP *basic = parse(file, &status);
	OCSP_SINGLERESP *single = basic ? find(basic, c) : NULL;
	X509 *issuer = tls_credential_issuer(c);

	if (!basic && status > 0)
		diag_add(diags, DIAG_ERROR, file->mark, "ocsp-response: the responder answered with an error (%s)",
			 OCSP_response_status_str(status));
	else if (!basic)
		diag_add(diags, DIAG_ERROR, file->mark, "ocsp-response: %s: not an OCSP response in DER", file->path);
	else if (!single)
		diag_add(diags, DIAG_ERROR, file->mark, "ocsp-response: it is about another certificate");
	else if (issuer && !is_signed_by_issuer(basic, issuer, now))
		diag_add(diags, DIAG_ERROR, file->mark, "ocsp-response: not signed by the certificate's issuer");
	else
		check_single(file, single, now, diags);
	OCSP_BASICRESP_free(basic);
}
