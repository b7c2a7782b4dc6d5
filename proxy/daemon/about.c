/* SPDX-License-Identifier: MIT */
/*
 * Versions for --version and bug reports: those of the libraries that are loaded, not of the headers compiled against,
 * because security updates change the former.
 */
#include "daemon/about.h"

#include <event2/event.h>

#include "tls/store.h"
#include "xmpp/xmlstream.h"

void about_print(FILE *out)
{
	fprintf(out, "portcullis %s\n%s\n%s\nlibevent %s\n", PORTCULLIS_VERSION, tls_library(), xmlstream_library(),
		event_get_version());
}
