/* SPDX-License-Identifier: MIT */
#ifndef PROXY_BASE_ARRAY_H
#define PROXY_BASE_ARRAY_H

/* Elements of a true array. */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
