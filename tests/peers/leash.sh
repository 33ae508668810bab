#!/bin/sh
# leash.sh COMMAND [ARGUMENT…]: runs COMMAND until standard input ends.
#
# The process that starts a server keeps the other end of the pipe. When that process ends, the kernel closes the pipe,
# `cat` returns, and this script kills the server, waits until its port is free, and kills the rest of this process
# group. So this script must be the leader of a process group.
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -KILL "$server"; } &
wait "$server"
echo "leash.sh: $1 ended with status $?" >&2
kill -KILL 0
