/* SPDX-License-Identifier: MIT */
/* The directory of peer memory, where a role of the configuration needs one. */
#ifndef PROXY_DAEMON_STATE_DIRECTORY_H
#define PROXY_DAEMON_STATE_DIRECTORY_H

#include "base/errbuf.h"
#include "daemon/privileges.h"
#include "policy/config.h"

/* What can be found wrong before it is used. */
void state_directory_check(const struct config *config, const struct account *account, struct diag_list *diags);
/* Makes it, for that account alone, if only it is missing. 0, also when it is there; -1 with err set. */
int state_directory_make(const struct config *config, const struct account *account, struct errbuf *err);

#endif
