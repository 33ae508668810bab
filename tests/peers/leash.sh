#!/bin/sh
# leash.sh COMMAND [ARGUMENT…]: runs COMMAND for as long as the writer of standard input lives.
#
# Whoever starts a server keeps the other end of the pipe. However that process ends, the kernel closes the pipe,
# `cat` returns and the server is killed; then, when the server is gone and its port free, whatever it left behind
# in this process group. So this script must lead a group of its own.
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -KILL "$server"; } &
wait "$server"
echo "leash.sh: $1 ended with status $?" >&2
kill -KILL 0
