/* SPDX-License-Identifier: MIT */
/* `portcullis run`: reads the configuration and every file it names, opens listeners, starts and supervises keeper and
 * workers, serves the control socket. Handles no network byte. */
#ifndef PROXY_DAEMON_MASTER_H
#define PROXY_DAEMON_MASTER_H

/* Returns the process's exit status (0 after a drain, 1 bad configuration, 3 could not start). */
int master_run(const char *config_path);

#endif
