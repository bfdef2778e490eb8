/* SPDX-License-Identifier: MIT */
/*
 * Everything a guest can make grow, and how far.  One number, one reason.
 */
#pragma once

/* --- first bytes of a guest stream ------------------------------------------------------ */
#define LIMIT_GREETING_LINE 256u   /* docs/PROTOCOL.guest.md; a line holds four short keys */
#define LIMIT_SASL_LINE     16384u /* what dbus-daemon takes; a longer line is an attack */
#define LIMIT_SASL_LINES    32u    /* every known client needs at most 6 */
#define LIMIT_AUTH_SECONDS  30u    /* from accept to Hello, in sbagent to the first byte; dbus-daemon's built-in value */

/* --- messages --------------------------------------------------------------------------- */
#define LIMIT_MESSAGE_BYTES 134217728u /* 128 MiB: D-Bus specification, "Valid messages" */
#define LIMIT_ARRAY_BYTES   67108864u  /* 64 MiB: ibid. */
#define LIMIT_HEADER_BYTES  65536u     /* paths and names of real messages are below 1 KiB */
#define LIMIT_DEPTH         64u        /* ibid.: 32 arrays and 32 structs */
#define LIMIT_MESSAGE_FDS   16u        /* dbus-daemon's built-in max_message_unix_fds */

/* --- a connection of the bus ------------------------------------------------------------ */
#define LIMIT_CONNECTIONS      512u      /* per bus, past Hello: a desktop session holds about 60 */
#define LIMIT_HALF_OPEN        64u       /* per listener, not yet past Hello: dbus-daemon's value; the oldest goes for a newcomer, */
#define LIMIT_HALF_OPEN_MS     100u      /* once it has had so long: three answers of ours, in a VM that a flood keeps busy; until then the newcomer waits in the kernel, */
#define LIMIT_LISTEN_BACKLOG   512u      /* which keeps so many of a listener's: all that sbagent has; in a flood the last is taken within a second */
#define LIMIT_NAMES            64u       /* per connection: nobody owns more than a handful */
#define LIMIT_MATCHES          1024u     /* per connection: a GTK desktop shell holds about 200 */
#define LIMIT_MATCHES_BUS      16384u    /* of all: 60 clients with 200; a signal may have to look at each, if somebody makes them so */
#define LIMIT_MATCH_ARGS       8u        /* of one: a rule with so many more counts as one more; real ones have two */
#define LIMIT_MATCHES_SURE     32u       /* a connection gets these though the bus is full of others' */
#define LIMIT_MATCH_RULE_BYTES 1024u     /* specification, "Match rules" */
#define LIMIT_PENDING_REPLIES  256u      /* calls without an answer, per caller */
#define LIMIT_QUEUE_BYTES      16777216u /* 16 MiB not yet read by one receiver, of signals; as much again of what others send it, each a fifth; one whole large message is let through above it */
#define LIMIT_SIGNAL_BYTES     4194304u  /* 4 MiB: a longer broadcast counts against its sender, and who has no room misses it */
#define LIMIT_PEER_QUEUE_BYTES 67108864u /* of the bus's own signals, for sbportal and sbsupervisor: 300 000 of them, then the peer hangs; from half of it on guests get no more names */
#define LIMIT_QUEUE_FDS        64u       /* of those, descriptors: dbus-daemon's value */
#define LIMIT_BUS_FDS          512u      /* of all receivers, queued and sent but not received, each an eighth of what the others leave, and who has none a quarter: LIMIT_ROUTER_FDS holds them beside the most connections and listeners, and the kernel takes as many of one user's buses together */
#define LIMIT_PARTIAL_FDS      128u      /* of unfinished messages, of all: eight of the largest, for a message comes in one piece mostly */
#define LIMIT_WAITING_FDS      512u      /* of messages that came and wait for their turn, or are checked, of all: 32 of the largest */
#define LIMIT_BUS_BYTES        268435456u /* 256 MiB of memory: of all unfinished, waiting and unread messages; two of the largest, while a desktop's bus holds less than 10 MiB */
#define LIMIT_BUS_BRIM         335544320u /* 320 MiB: what one turn may make of that, whatever it is; one message to all, or one leaving, makes below 40 MiB */
#define LIMIT_COPY_BYTES       81920u     /* of one message that each receiver has for itself: the header, and a body that is too short to be shared */
#define LIMIT_UNREAD_BYTES     134217728u /* 128 MiB: of those, unread; above it clients send one another little; one of the largest */
#define LIMIT_UNREAD_SURE      196608u    /* so much a receiver gets though the bus is full: a call with a picture; of LIMIT_CONNECTIONS with the former less than LIMIT_BUS_BYTES */
#define LIMIT_TURN_BYTES       33554432u  /* 32 MiB more in memory, and the turn ends: what was made in it is sent first */
#define LIMIT_CROWD_MS         500u       /* between two looks whether a bus that is over LIMIT_BUS_BYTES becomes emptier by itself: */
#define LIMIT_CROWD_BYTES      1048576u   /* so much has to be read meanwhile, else the largest holder is closed; twice as much each time that it was enough and made no room, */
#define LIMIT_CROWD_DOUBLINGS  4u         /* up to 16 MiB: readers take ten times that, and one message for all is gone within a second or two */
#define LIMIT_STALL_SECONDS    10u        /* for whom messages, or descriptors, have waited so long while there is no room for others' is closed: it hangs, or reads too slowly for what it gets */
#define LIMIT_UNFINISHED_MS    2000u      /* who began a message so long ago is closed first when the bus is out of room: else many who leave a part of one would have others closed, whose are longer; the longest takes a second */
#define LIMIT_TRIM_BYTES       4194304u   /* so much that is not needed any more is given back to the host, */
#define LIMIT_TRIM_MS          1000u      /* once it is so old: a busy bus needs it again at once */
#define LIMIT_BACKLOG_BYTES    33554432u /* 32 MiB: of those, what was read and waits for its turn; a full read of 64 clients, then less of each */
#define LIMIT_TURN_WORK        8192u     /* what one connection causes before the others' turn, some 1 ms: of rules that a signal is compared with, and of its receivers, each; of a message only the check is divided: LIMIT_MATCHES_BUS rules take some 1 ms, too; */
#define LIMIT_TURN_LEAST       512u      /* of that each has its part when many say something at once, and so much at least: 64 messages; else some tens that stay within their turn kept others waiting; */
#define LIMIT_TURN_MESSAGE     8u        /* of this work a message: to one receiver it takes below 1 us; */
#define LIMIT_TURN_STEPS       32u       /* one more for so many steps of the check of what it says: of 2 to 7 ns; 128 MiB may take a thousand million, which is seconds of turns; */
#define LIMIT_TURN_CALL        64u       /* one to the bus itself, which takes up to 10 us, */
#define LIMIT_TURN_ANSWER      64u       /* and again one for so much of the answer: a list of names may have megabytes; */
#define LIMIT_TURN_WALK        4u        /* one more for so many names, connections, or rules of its own, that are looked at for it: 30 ns each; */
#define LIMIT_TURN_ARGS        16u       /* one more for so many arguments of a rule: to compare one takes 5 ns; */
#define LIMIT_TURN_CHAINS      4u        /* one for so many places where no rule was found: 14 ns each, and more where many forms of rules are in use */
#define LIMIT_DRIVER_BYTES     65536u    /* a call to the bus itself, and any message before Hello: names and match rules are below 2 KiB */
#define LIMIT_VSOCK_BUFFER_MAX 524288u   /* what that can become: liveness.c adds a byte at each probe */
#define LIMIT_VSOCK_BUFFER     262144u   /* bytes of one vsock stream that we have not read: the kernel's own value */
#define LIMIT_PROBE_SECONDS    5u        /* between two looks whether a VM knows its streams: it does not boot faster */
#define LIMIT_ROUTER_FDS       4096u     /* RLIMIT_NOFILE: all connections, and some full queues of descriptors */
#define LIMIT_STANDALONE_CONNECTIONS 2304u /* what sbrouter --max-connections may say: of those descriptors, and the same room */

/* --- sbportal and the gate --------------------------------------------------------------- */
#define LIMIT_REQUESTS_CLIENT 16u    /* open portal requests of one guest client: one dialog each */
#define LIMIT_REQUESTS_VM     64u    /* of all of them; the gate holds the same number again */
#define LIMIT_SESSIONS_CLIENT 8u     /* portal sessions of one guest client: one of each kind, and room */
#define LIMIT_SESSIONS_VM     32u    /* of all of them */
#define LIMIT_PORTAL_FDS      1152u  /* RLIMIT_NOFILE of sbportal: LIMIT_MESSAGE_FDS of LIMIT_REQUESTS_VM calls that the gate has not read, and room */
#define LIMIT_SUPERVISOR_FDS (2u * LIMIT_REQUESTS_VM * LIMIT_MESSAGE_FDS + 512u) /* RLIMIT_NOFILE of sbsupervisor: all of LIMIT_REQUESTS_VM calls, each once more in what goes on of it, and room */
#define LIMIT_NOTIFICATIONS_CLIENT 30u /* a minute, and at once, of one guest client: a chat in full swing */
#define LIMIT_NOTIFICATIONS_VM     60u /* of all of them: more nobody reads */
#define LIMIT_PRESSES             8u  /* of buttons at once: a person presses one after the other; */
#define LIMIT_PRESS_NAMES         64u /* the names of a bus that are asked about for one, at once: a desktop has 60 */
#define LIMIT_NOTIFICATIONS_KEPT   256u /* of org.freedesktop.Notifications, whose end nobody tells us */
#define LIMIT_ASKS            4u     /* questions that are shown at once, of one VM: more nobody reads */
#define LIMIT_ASKS_BURST      16u    /* in a row: each portal once; then one every */
#define LIMIT_ASKS_PAUSE_SECONDS 60u /* so long, lest a person presses "allow" to have peace */
#define LIMIT_ASK_SECONDS     60u    /* to answer one; then it is a denial */
#define LIMIT_ASK_CALL_SECONDS 20u   /* the same where the caller waits for the answer itself: GDBus does for 25 s */
#define LIMIT_DIALOGS_VM      32u    /* requests that may have a window up: two clients' worth; [Limits] can say less */
#define LIMIT_LASTING_CLIENT  4u     /* requests that stay in force, of one guest client: one inhibitor for each reason */
#define LIMIT_LASTING_VM      16u    /* of all of them; with all dialogs they leave a quarter of LIMIT_REQUESTS_VM */
#define LIMIT_DIALOGS_MINUTE  30u    /* opened in a minute: a window every two seconds, and nobody can work any more */
#define LIMIT_DIALOGS_MINUTE_MAX 100000u /* which [Limits] can say: a VM that is operated by a program */
#define LIMIT_NOTIFICATIONS_ISSUED 512u /* whose buttons still answer: more no desktop shows */
#define LIMIT_SPOOL_BYTES     268435456u /* 256 MiB: copies of guest files that host programs read; mail takes 25 MiB */
#define LIMIT_SPOOL_FILES     256u   /* of them: a full message of descriptors, many times */
#define LIMIT_SOUND_BYTES     1048576u /* of a notification: some seconds */
#define LIMIT_TOKEN_BYTES     64u    /* handle_token: clients use about 10 */
#define LIMIT_TEXT_BYTES      1024u  /* a title, a label: more does not fit on a screen */
#define LIMIT_LINES_BYTES     65536u /* the text of an email, of a notification */
#define LIMIT_STRING_BYTES    4096u  /* any other string argument: PATH_MAX */
#define LIMIT_ICON_BYTES      262144u /* a 512x512 PNG of flat colours is below 64 KiB, a photo as JPEG too */
#define LIMIT_VARIANT_DEPTH   8u     /* containers in a value of any type: a setting has 3 */
#define LIMIT_ARRAY_ITEMS     1024u  /* filters, choices, files of one call; an office's "all documents" has some 300 patterns */
#define LIMIT_OPTION_KEYS     256u   /* keys of one a{sv}, known or not: reading them costs time; GTK sends 10 */
#define LIMIT_SKIPPED_VALUES  65536u /* single values in options nobody knows: stepping over one costs 1 us */
#define LIMIT_URIS            256u   /* documents exported by one Response */
#define LIMIT_GATE_QUEUED     512u   /* answers sbportal has not read: it reads at once, or is broken */
#define LIMIT_INLET_BYTES     2097152u /* of sbportal, or of the private bus, header and all: LIMIT_GATE_BYTES and room; LIMIT_REQUESTS_VM such calls may be held */
#define LIMIT_GATE_BYTES      1048576u /* a guest's message to sbportal, and what is passed on of it: options, no payloads */

/* --- what our own processes may take, whatever happens in them ------------------------------ */
#define LIMIT_ROUTER_AS  1073741824u /* RLIMIT_AS: LIMIT_BUS_BRIM, one whole message above it, and its copy; 80 MiB of rules, names, calls that are not answered, connections, and 20 KiB of each to check what it sends, which no sum counts */
#define LIMIT_PORTAL_AS  536870912u  /* D-Bus's largest message, twice, and ourselves */
#define LIMIT_ORPHANS_TURN  128u     /* ended processes that daemons have left behind, reaped at once: some 3 us each, a hundred times a second at most */
#define LIMIT_ORPHANS_MS    5000u    /* to kill, at the end, those that are still there and fork on: with all else that a stop waits for, less than the unit's 20 s */
#define LIMIT_COVER_ENTRIES 16384u   /* sockets and directories of /run, of /tmp, at each depth, that are opened at the start: some 10 ms */
#define LIMIT_COVER_DIRECTORY 4096u  /* of these, in one directory below: a VM's own that is full does not hide the others */

/* --- logs --------------------------------------------------------------------------------- */
#define LIMIT_LOG_LINES_SECOND 50u   /* per process; what is over is counted and said */
#define LIMIT_REFUSED_SECONDS  60u   /* between two lines about connections from a wrong CID or user */
#define LIMIT_LOG_LINE_BYTES   2048u /* journald's default LineMax is 48 KiB; ours are one sentence */

/* --- sbagent (in the guest) --------------------------------------------------------------- */
#define LIMIT_AGENT_CLIENTS         512u    /* as many as the bus takes */
#define LIMIT_AGENT_CLIENTS_UID     256u    /* of one user: dbus-daemon's value; another user finds room */
#define LIMIT_AGENT_LISTENERS       8u      /* sockets from systemd: a unit has one or two */
#define LIMIT_AGENT_BUFFER          262144u /* bytes in flight per direction before the reader is paused */
#define LIMIT_AGENT_VALUE_BYTES     256u    /* a credential: an address is the longest */
#define LIMIT_AGENT_BACKOFF_MS      5000u   /* between two tries: a person sees the host come back */
#define LIMIT_AGENT_GRACE_SECONDS   30u     /* one direction ended, the other silent: longer than any reply takes */
#define LIMIT_AGENT_REFUSAL_SECONDS 5u      /* to hear why there is no host; clients need milliseconds */
#define LIMIT_AGENT_LINGER_SECONDS  2u      /* to close after it was told; a slow client is cut */
