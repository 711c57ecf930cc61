#!/bin/sh
# Measures Postern beside a bare go-smtp relay, Postfix, Postfix + Rspamd and the same + clamd,
# on the same mails in one run. Loopback only; everything it starts it ends. Needs root: Postfix
# does. Options go to bench.py (--help tells them).
set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "bench: Postfix must be started by root" >&2; exit 1; }
CORPORA=${CORPORA:-../shared/corpora}
[ -d "$CORPORA" ] || { echo "bench: no corpora at $CORPORA (set CORPORA)" >&2; exit 1; }
for program in postfix rspamd redis-server clamd python3; do
  command -v "$program" >/dev/null 2>&1 || { echo "bench: $program is missing" >&2; exit 1; }
done
mkdir -p .cache/bench
CGO_ENABLED=0 go build -trimpath -o .cache/bench/ ./test/bench/...
exec python3 deploy/bench/bench.py --corpora "$CORPORA" --tools .cache/bench --postern bin/postern "$@"
