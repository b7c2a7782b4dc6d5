/* SPDX-License-Identifier: MIT */
/* The profiles of `tls.profile` as one table, laid on a context parameter by parameter, and the check of what an
 * operator wrote in their place. For the tls room only. */
#ifndef PROXY_TLS_PROFILE_PRIVATE_H
#define PROXY_TLS_PROFILE_PRIVATE_H

#include "base/errbuf.h"
#include "policy/config.h"

struct ssl_ctx_st;
struct ssl_st;

/* Sets every TLS parameter of the context. Returns 0, or -1 with the reason in err. */
int tls_profile_apply(struct ssl_ctx_st *ctx, const struct config_tls *tls, struct errbuf *err);
/* The same on one SSL, before its handshake: where a peer's settings differ. 0, or -1 with the reason in err. */
int tls_profile_apply_one(struct ssl_st *ssl, const struct config_tls *tls, struct errbuf *err);
/* Findings about tls.ciphers, ciphersuites, groups, profile and min-version (TLS-1, 3, 5, 6). */
void tls_profile_check(const struct config_tls *tls, struct diag_list *diags);
/* About those of a peer's rule that are not the common ones: there old versions and CBC are in order. */
void tls_profile_check_peer(const struct config_tls *peer, const struct config_tls *common, struct diag_list *diags);

#endif
