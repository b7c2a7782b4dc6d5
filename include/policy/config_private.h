/* SPDX-License-Identifier: MIT */
/* What the files of the configuration loader share: the run's context, key paths, one value, one block, cross checks.
 */
#ifndef PROXY_POLICY_CONFIG_PRIVATE_H
#define PROXY_POLICY_CONFIG_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/config.h"
#include "policy/schema_private.h"
#include "policy/tree_private.h"

struct loader {
	const struct file_source *source;
	struct diag_list *diags;
	const char *directory;
};

/* Where in the file we are: built on the stack on the way down, put into words only for an error. */
struct key_path {
	const struct key_path *parent; /* NULL: the top */
	const char *name;              /* NULL: element `index` of the parent */
	size_t index;
};

#define KEY_PATH_SIZE 256
const char *key_path_text(const struct key_path *path, char out[KEY_PATH_SIZE]);

/* Text of the file made fit for a message: escaped and cut. */
#define CONFIG_QUOTE_SIZE 256
const char *config_quote(const char *text, char out[CONFIG_QUOTE_SIZE]);
/* Letters to add, drop or change. */
unsigned config_edit_distance(const char *a, const char *b);
/* Is a word that far away worth a "did you mean": at most two edits, or a third of its length. */
bool config_is_near(unsigned distance, const char *word);

/* One value: parsed, checked and stored at slot (the struct that the row's offsets speak of). */
void config_value_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path, void *slot);
/* The row's default, stored; allocated members are replaced, so slot must be fresh. */
void config_value_default(struct loader *loader, const struct schema_row *row, void *slot);
void config_value_free(const struct schema_row *row, void *slot);
/* The scalar's text if it is fit for a name, path or list: something, and nothing invisible; else NULL, with the error
 * said. */
const char *config_plain_text(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			      const struct key_path *path);
/* Frees what is there; text becomes the member's own. */
void config_set_text(char **member, char *text);

/* The values that only rules for peers have (config_peer.c); as the functions of a type in config_value.c. */
void config_pattern_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			 const struct key_path *path, void *slot);
void config_target_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			const struct key_path *path, void *slot);
void config_date_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		      const struct key_path *path, void *slot);
/* One fingerprint in the form of struct config_peer, allocated; NULL with the error said. */
char *config_fingerprint(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			 const struct key_path *path);
/* Lays what each rule says over the common TLS settings. Once, after the authorities were loaded. */
void config_peers_settle(struct config *config);

/* "found a list, expected a whole number (example: 64)" at the node. */
void config_wrong_type(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path);
/* The scalar's text if it is fit for a name, path or list: something, and nothing invisible. NULL with the error said.
 */
const char *config_plain_text(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			      const struct key_path *path);
/* Bool, integer, size, duration and choice as one number. Returns 0, or -1 with the error said. */
int config_number(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		  const struct key_path *path, int64_t *out);
/* Strict base-10 digits: no sign, no leading zero, at most max. Returns where they end, or NULL. */
const char *config_digits(const char *text, int64_t max, int64_t *out);
/* Where relative paths start from: the directory of the file `path`, absolute. NULL if the working directory is gone.
 * The caller frees. */
char *config_directory(const char *path);
/* Text behind directory unless it is absolute. The caller frees. */
char *config_absolute(const char *directory, const char *text);

/* The whole block: keys, duplicates, what is missing. path NULL at the top. */
void config_block_load(struct loader *loader, const struct schema_block *block, const struct tree_node *node,
		       const struct key_path *path, void *slot);
void config_block_default(struct loader *loader, const struct schema_block *block, void *slot);
void config_block_free(const struct schema_block *block, void *slot);

/* The system's certificate authorities into tls.ca_file, where a key asks for some and none were named. */
void config_authorities_load(struct loader *loader, struct config *config);

/* config_resolvers.c: SCHEMA_SERVERS, as the functions of config_value.c's table. */
void config_servers_value(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			  const struct key_path *path, void *slot);
/* The system's resolvers and trust anchor, where a listener asks DNS and the file names none; the anchor checked. */
void config_resolvers_load(struct loader *loader, struct config *config);
/* Would the settings of a rule let through what the common ones do not (peer.c)? */
bool policy_tls_is_weaker(const struct config_tls *tls, const struct config_tls *common);

/* Rules between keys; findings that only follow from an earlier error are left out. */
void config_check(const struct config *config, struct diag_list *diags);
void config_check_domains(const struct config *config, struct diag_list *diags);
void config_check_peers(const struct config *config, struct diag_list *diags);
/* Would a connection to `to` come back to us? The number of the listener, or listener_count. */
size_t config_find_loop(const struct config *config, const struct addr *to, bool outbound_only);

#endif
