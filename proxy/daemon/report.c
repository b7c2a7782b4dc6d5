/* SPDX-License-Identifier: MIT */
/*
 * The policy in force, for people and for machines: what listens, what is asked of each role, which certificate and
 * which backend each domain has, which remote domains are exceptions, and where records go. Names no secret: of a
 * private key not even the path.
 */
#include "daemon/report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "policy/peer.h"
#include "tls/check.h"

#define CERTIFICATE_TEXT 512

static const char *const listener_tls_names[] = {[LISTENER_TLS_AUTO] = "auto",
						 [LISTENER_TLS_STARTTLS] = "starttls",
						 [LISTENER_TLS_DIRECT] = "direct",
						 [LISTENER_TLS_NONE] = "none"};
_Static_assert(ARRAY_LEN(listener_tls_names) == LISTENER_TLS_COUNT, "listener tls without a name");
static const char *const backend_tls_names[] = {
    [BACKEND_TLS_NEVER] = "never", [BACKEND_TLS_OPPORTUNISTIC] = "opportunistic", [BACKEND_TLS_REQUIRED] = "required"};
_Static_assert(ARRAY_LEN(backend_tls_names) == BACKEND_TLS_COUNT, "backend tls without a name");
static const char *const profile_names[] = {
    [TLS_PROFILE_MODERN] = "modern", [TLS_PROFILE_BCP195] = "bcp195", [TLS_PROFILE_COMPAT] = "compat"};
_Static_assert(ARRAY_LEN(profile_names) == TLS_PROFILE_COUNT, "profile without a name");
static const char *const intercept_names[] = {
    [INTERCEPT_NONE] = "none", [INTERCEPT_REDIRECT] = "redirect", [INTERCEPT_TPROXY] = "tproxy"};
_Static_assert(ARRAY_LEN(intercept_names) == INTERCEPT_COUNT, "intercept without a name");
static const char *const next_hop_names[] = {
    [NEXT_HOP_DNS] = "dns", [NEXT_HOP_ORIGINAL_DESTINATION] = "original-destination"};
_Static_assert(ARRAY_LEN(next_hop_names) == NEXT_HOP_COUNT, "next hop without a name");
static const char *const change_names[] = {[CERTIFICATE_CHANGE_WARN] = "warn", [CERTIFICATE_CHANGE_REFUSE] = "refuse"};
_Static_assert(ARRAY_LEN(change_names) == CERTIFICATE_CHANGE_COUNT, "on-certificate-change without a name");
static const char *const audit_names[] = {
    [AUDIT_STDOUT] = "stdout", [AUDIT_FILE] = "file", [AUDIT_SYSLOG] = "syslog", [AUDIT_JOURNALD] = "journald"};
_Static_assert(ARRAY_LEN(audit_names) == AUDIT_OUTPUT_COUNT, "audit output without a name");
static const char *const failure_names[] = {[AUDIT_REFUSE] = "refuse", [AUDIT_CONTINUE] = "continue"};
_Static_assert(ARRAY_LEN(failure_names) == AUDIT_ON_FAILURE_COUNT, "audit.on-failure without a name");

static void text_backend(FILE *out, const char *name, const struct config *config, const struct config_backend *backend,
			 const struct addr *address)
{
	char text[ADDR_TEXT_SIZE];

	if (address->len == 0)
		return;
	addr_text(address, text);
	fprintf(out, "    backend     %s %s, tls %s%s%s%s\n", name, text, backend_tls_names[backend->tls],
		backend->tls == BACKEND_TLS_REQUIRED ? ", verified by " : "",
		backend->tls == BACKEND_TLS_REQUIRED ? config->tls.ca_file.path : "",
		backend->allow_remote_plaintext ? ", remote plaintext allowed" : "");
}

static void text_domain(FILE *out, const struct config *config, const struct config_domain *domain, int64_t now)
{
	char certificate[CERTIFICATE_TEXT];

	tls_describe_certificate(domain, now, certificate, sizeof(certificate));
	fprintf(out, "  %s\n    certificate %s\n", domain->name, *certificate ? certificate : "none");
	for (size_t i = 0; i < domain->more_certificate_count; i++) {
		struct config_domain one = config_domain_with(domain, i);

		tls_describe_certificate(&one, now, certificate, sizeof(certificate));
		fprintf(out, "    and         %s\n", certificate);
	}
	text_backend(out, "c2s", config, &domain->backend, &domain->backend.c2s);
	text_backend(out, "s2s", config, &domain->backend, &domain->backend.s2s);
}

static const char *version_text(int version)
{
	static const char *const texts[] = {"1.0", "1.1", "1.2", "1.3"};

	return version >= 10 && version < 10 + (int)ARRAY_LEN(texts) ? texts[version - 10] : "unknown";
}

static bool is_over(const struct config_peer *rule, int64_t now)
{
	return rule->until < now;
}

/* For any role in use. */
static bool is_weak(const struct config *config, const struct config_peer *rule)
{
	bool weak = false;

	for (int role = 0; role < ROLE_COUNT; role++) {
		if (config_has_role(config, (enum role)role))
			weak = weak || policy_rule_is_weak(config, rule, (enum role)role);
	}
	return weak;
}

static void text_peer(FILE *out, const struct config *config, const struct config_peer *rule, int64_t now)
{
	fprintf(out, "  %-24s level %s", rule->domain,
		rule->level >= 0 ? level_name((enum level)rule->level) : "of the role");
	if (rule->fingerprint_count > 0)
		fprintf(out, " (%zu)", rule->fingerprint_count);
	if (rule->tls_set)
		fprintf(out, ", tls %s and up (profile %s)", version_text(policy_min_tls(&rule->tls)),
			profile_names[rule->tls.profile]);
	if (rule->connect_host)
		fprintf(out, ", connect %s port %u", rule->connect_host, (unsigned)rule->connect_port);
	fprintf(out, "%s", is_weak(config, rule) ? ", weaker than the rest" : "");
	if (rule->until_text)
		fprintf(out, is_over(rule, now) ? ", OVER since the end of %s" : ", until %s", rule->until_text);
	fprintf(out, "%s%s\n", rule->reason ? ": " : "", rule->reason ? rule->reason : "");
}

static void text_peers(FILE *out, const struct config *config, int64_t now)
{
	if (!config_has_peers(config) && config->peer_count == 0)
		return;
	fprintf(out, "peers (on-certificate-change %s)\n", change_names[config->policy.on_certificate_change]);
	for (size_t i = 0; i < config->peer_count; i++)
		text_peer(out, config, &config->peers[i], now);
	fprintf(out, "  %-24s level of the role, tls %s and up (profile %s)\n", "all others",
		version_text(policy_min_tls(&config->tls)), profile_names[config->tls.profile]);
}

void report_text(FILE *out, const struct config *config, int64_t now)
{
	char address[ADDR_TEXT_SIZE];

	fprintf(out, "mode %s, tls profile %s\nlisteners\n", mode_name((enum mode)config->mode),
		profile_names[config->tls.profile]);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		addr_text(&l->address, address);
		fprintf(out, "  %-24s %-14s tls %-10s level %s", address, role_name((enum role)l->role),
			listener_tls_names[l->tls], level_name((enum level)config->policy.level[l->role]));
		if (!role_is_inbound((enum role)l->role))
			fprintf(out, ", intercept %s, next-hop %s", intercept_names[l->intercept],
				next_hop_names[l->next_hop]);
		fputc('\n', out);
	}
	fprintf(out, "levels\n");
	for (int role = 0; role < ROLE_COUNT; role++)
		fprintf(out, "  %-14s %s\n", role_name((enum role)role),
			level_name((enum level)config->policy.level[role]));
	text_peers(out, config, now);
	fprintf(out, "domains\n");
	for (size_t i = 0; i < config->domain_count; i++)
		text_domain(out, config, &config->domains[i], now);
	fprintf(out, "audit log\n  %s%s%s, on-failure %s%s\n", audit_names[config->audit.output],
		config->audit.output == AUDIT_FILE ? ":" : "",
		config->audit.output == AUDIT_FILE ? config->audit.file_path : "",
		failure_names[config->audit.on_failure],
		config->audit.output == AUDIT_FILE && config->audit.chain ? ", hash chain" : "");
}

static json_t *json_findings(const struct diag_list *diags)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diags->count; i++) {
		const struct diag *d = &diags->items[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:i, s:i, s:s}", "severity",
						d->severity == DIAG_ERROR ? "error" : "warning", "file", diags->file,
						"line", d->mark.line, "column", d->mark.column, "text", d->text));
	}
	return list;
}

static json_t *json_listeners(const struct config *config)
{
	json_t *list = json_array();
	char address[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		addr_text(&l->address, address);
		json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "address", address, "role",
					   role_name((enum role)l->role), "tls", listener_tls_names[l->tls], "level",
					   level_name((enum level)config->policy.level[l->role]));
		if (!role_is_inbound((enum role)l->role)) {
			json_object_set_new(object, "intercept", json_string(intercept_names[l->intercept]));
			json_object_set_new(object, "next-hop", json_string(next_hop_names[l->next_hop]));
		}
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_texts(char *const *texts, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *json_peer(const struct config *config, const struct config_peer *rule, int64_t now)
{
	json_t *object =
	    json_pack("{s:s, s:s?, s:{s:s, s:s}, s:b, s:b}", "domain", rule->domain, "level",
		      rule->level >= 0 ? level_name((enum level)rule->level) : NULL, "tls", "profile",
		      profile_names[rule->tls.profile], "min-version", version_text(policy_min_tls(&rule->tls)), "weak",
		      is_weak(config, rule), "over", is_over(rule, now));

	if (rule->fingerprint_count > 0)
		json_object_set_new(object, "fingerprints", json_texts(rule->fingerprints, rule->fingerprint_count));
	if (rule->connect_host)
		json_object_set_new(object, "connect",
				    json_pack("{s:s, s:i}", "host", rule->connect_host, "port", rule->connect_port));
	if (rule->reason)
		json_object_set_new(object, "reason", json_string(rule->reason));
	if (rule->until_text)
		json_object_set_new(object, "until", json_string(rule->until_text));
	return object;
}

static json_t *json_peers(const struct config *config, int64_t now)
{
	json_t *list = json_array();

	for (size_t i = 0; i < config->peer_count; i++)
		json_array_append_new(list, json_peer(config, &config->peers[i], now));
	return list;
}

static json_t *json_levels(const struct config *config)
{
	json_t *levels = json_object();

	for (int role = 0; role < ROLE_COUNT; role++)
		json_object_set_new(levels, role_name((enum role)role),
				    json_string(level_name((enum level)config->policy.level[role])));
	return levels;
}

static json_t *json_backend(const struct config *config, const struct config_backend *backend)
{
	json_t *object = json_object();
	char text[ADDR_TEXT_SIZE];

	if (backend->c2s.len) {
		addr_text(&backend->c2s, text);
		json_object_set_new(object, "c2s", json_string(text));
	}
	if (backend->s2s.len) {
		addr_text(&backend->s2s, text);
		json_object_set_new(object, "s2s", json_string(text));
	}
	json_object_set_new(object, "tls", json_string(backend_tls_names[backend->tls]));
	if (backend->tls == BACKEND_TLS_REQUIRED)
		json_object_set_new(object, "ca-file", json_string(config->tls.ca_file.path));
	return object;
}

static json_t *json_more_certificates(const struct config_domain *domain, int64_t now)
{
	char certificate[CERTIFICATE_TEXT];
	json_t *list = json_array();

	for (size_t i = 0; i < domain->more_certificate_count; i++) {
		struct config_domain one = config_domain_with(domain, i);

		tls_describe_certificate(&one, now, certificate, sizeof(certificate));
		json_array_append_new(list, json_string(certificate));
	}
	return list;
}

static json_t *json_domains(const struct config *config, int64_t now)
{
	char certificate[CERTIFICATE_TEXT];
	json_t *list = json_array();

	for (size_t i = 0; i < config->domain_count; i++) {
		const struct config_domain *domain = &config->domains[i];
		json_t *object = json_object();

		tls_describe_certificate(domain, now, certificate, sizeof(certificate));
		json_object_set_new(object, "name", json_string(domain->name));
		if (*certificate)
			json_object_set_new(object, "certificate", json_string(certificate));
		if (domain->more_certificate_count > 0)
			json_object_set_new(object, "more-certificates", json_more_certificates(domain, now));
		json_object_set_new(object, "backend", json_backend(config, &domain->backend));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_audit(const struct config *config)
{
	json_t *object = json_object();

	json_object_set_new(object, "output", json_string(audit_names[config->audit.output]));
	if (config->audit.output == AUDIT_FILE)
		json_object_set_new(object, "file", json_string(config->audit.file_path));
	json_object_set_new(object, "on-failure", json_string(failure_names[config->audit.on_failure]));
	json_object_set_new(object, "chain", json_boolean(config->audit.chain));
	return object;
}

void report_json(FILE *out, const struct config *config, const struct diag_list *diags, int64_t now)
{
	json_t *report = json_object();

	json_object_set_new(report, "ok", json_boolean(config != NULL));
	json_object_set_new(report, "findings", json_findings(diags));
	if (config) {
		json_object_set_new(report, "mode", json_string(mode_name((enum mode)config->mode)));
		json_object_set_new(report, "profile", json_string(profile_names[config->tls.profile]));
		json_object_set_new(report, "listeners", json_listeners(config));
		json_object_set_new(report, "levels", json_levels(config));
		json_object_set_new(report, "peers", json_peers(config, now));
		json_object_set_new(report, "domains", json_domains(config, now));
		json_object_set_new(report, "audit", json_audit(config));
	}
	json_dumpf(report, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(report);
}
