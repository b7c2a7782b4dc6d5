/* SPDX-License-Identifier: MIT */
/*
 * The table of subcommands: a row holds the name, what may stand behind it, and its help. The bash completion follows
 * this table. What the product will do and this version does not is listed, and says so.
 */
#include "base/array.h"
#include "cli/command.h"

#define ANY ((size_t)-1)

static const struct command commands[] = {
    {.name = "run",
     .synopsis = "[-c FILE]",
     .summary = "run in the foreground until SIGTERM or SIGINT",
     .help = "Reads and checks the configuration, opens the listeners, starts the workers, and prints the line\n"
	     "`ready` on the operator's log once every listener accepts (and tells systemd the same).\n\n"
	     "SIGTERM, SIGINT   take no new streams; open ones may go on for timeouts.drain; then exit 0.\n"
	     "                  A second one ends at once.\n"
	     "SIGHUP            as `portcullis reload`: read the configuration again, and open the audit log again\n"
	     "                  (log rotation) whether or not that goes well.\n\n"
	     "Started as root it takes the account named by `user` in all processes that meet the network.\n",
     .run = cli_run},
    {.name = "check",
     .synopsis = "[-c FILE] [--json]",
     .summary = "validate configuration and certificates, print the policy in force",
     .help = "Prints every finding as FILE:LINE:COLUMN: message, not just the first, then the policy that would\n"
	     "be in force, then `ok`. Exit status 1 if anything is wrong. Starts nothing; run it as the account\n"
	     "that will start portcullis, so that it can read the keys.\n",
     .takes_json = true,
     .run = cli_check},
    {.name = "reload",
     .synopsis = "[-c FILE] [--socket PATH]",
     .summary = "take a new configuration and certificates for new streams",
     .help = "Asks the running portcullis to read its configuration and every file that it names again. New streams\n"
	     "take the new one, open streams go on with what they started with. If anything is wrong nothing changes:\n"
	     "every finding is printed as FILE:LINE:COLUMN: message, and the exit status is 1.\n"
	     "What takes a restart, and is refused: workers, user, admin.socket, audit.output, audit.chain, and\n"
	     "limits.connections above what it was at the start; state-directory while peer memory is in use.\n",
     .takes_socket = true,
     .run = cli_reload},
    {.name = "status",
     .synopsis = "[-c FILE] [--socket PATH] [--json]",
     .summary = "workers, streams, handshakes, refusals, health of the audit log",
     .help = "Asks the running portcullis over its control socket (admin.socket, mode 0600: sudo may be needed).\n",
     .takes_json = true,
     .takes_socket = true,
     .run = cli_status_show},
    {.name = "streams",
     .synopsis = "[-c FILE] [--socket PATH] [--json]",
     .summary = "the open streams: who, TLS of both legs, age, bytes",
     .help = "Asks every worker. A worker that does not answer within five seconds is named, its streams are\n"
	     "missing from the list.\n",
     .takes_json = true,
     .takes_socket = true,
     .run = cli_streams},
    {.name = "peers",
     .synopsis = "list|show DOMAIN|accept DOMAIN [SHA256]|forget DOMAIN [-c FILE] [--socket PATH] [--json]",
     .summary = "what is remembered of remote domains; accept a changed certificate",
     .help =
	 "list            every domain that was met, a line for each service (s2s, c2s): the best TLS version and\n"
	 "                the best proof ever seen, the last ones, whether STARTTLS was ever offered or required.\n"
	 "show DOMAIN     all that is remembered of it, with every certificate.\n"
	 "accept DOMAIN [SHA256]\n"
	 "                the certificate of that fingerprint, or all that were seen of the domain, count as known:\n"
	 "                no certificate-changed for them any more, and on-certificate-change: refuse lets them in.\n"
	 "forget DOMAIN   as if it had never been met; the next certificate is the first one again.\n\n"
	 "Exit status 1 if nothing is remembered of the domain, 3 if no listener has remote domains.\n",
     .operands_min = 1,
     .operands_max = 3,
     .takes_json = true,
     .takes_socket = true,
     .run = cli_peers},
    {.name = "probe",
     .synopsis = "DOMAIN",
     .summary = "report on a remote domain's TLS (not available in this version)",
     .help = "This version cannot probe.\n",
     .operands_max = ANY,
     .takes_json = true,
     .loose = true,
     .run = cli_unavailable},
    {.name = "audit",
     .synopsis = "verify FILE...",
     .summary = "check an audit log's hash chain (report and query: not available in this version)",
     .help = "verify FILE...   reads the files in the order given, oldest first, as one chain; names the first\n"
	     "                 record that was changed, removed or put in (exit status 1), or prints how many\n"
	     "                 records are intact.\n"
	     "report, query    not available in this version.\n",
     .operands_min = 1,
     .operands_max = ANY,
     .takes_json = true,
     .loose = true,
     .run = cli_audit},
    {.name = "schema",
     .synopsis = "json|mdoc|sample",
     .summary = "print what is made from the configuration's schema",
     .help = "json: JSON Schema for editors. mdoc: the KEYS section of portcullis.yaml(5). sample: all defaults.\n",
     .operands_min = 1,
     .operands_max = 1,
     .hidden = true,
     .run = cli_schema},
};

const struct command *cli_command(size_t i)
{
	return i < ARRAY_LEN(commands) ? &commands[i] : NULL;
}
