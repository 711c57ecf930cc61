#!/bin/sh
# Runs every fuzz target for a short while; the seeds in testdata run with the unit tests.
# Each package is linked once, and as many run side by side as there are processors. Our own
# code alone is instrumented (-fuzz would do all of SQLite too, and compare its counters after
# every input).
set -eu

if [ "${2:-}" ]; then # one package: time, directory, where to work
  time=$1 package=$2 work=$3
  binary=$work/$(echo "$package" | tr / _).test
  cache=$(go env GOCACHE)/fuzz/$(go list "$package")
  go test -c -vet=off -ldflags='-s -w' -gcflags='postern/...=-d=libfuzzer' -o "$binary" "$package"
  cd "$package"
  for target in $(grep -h '^func Fuzz' ./*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do
    begun=$(date +%s)
    "$binary" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.parallel 1 -test.fuzzcachedir "$cache" >"$binary.out" 2>&1 ||
      { echo "fuzz $package $target" && cat "$binary.out"; exit 255; } # which ends the others
    echo "fuzz $package $target $(($(date +%s) - begun))s"
  done
  rm -f "$binary" "$binary.out"
  exit 0
fi

work=$(TMPDIR=$(test -w /dev/shm && echo /dev/shm || echo "${TMPDIR:-/tmp}") mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"
grep -rl --include='*_test.go' '^func Fuzz' . | sed 's|/[^/]*$||' | sort -u |
  xargs -P "$(nproc)" -I '{}' "$0" "${1:-5000x}" '{}' "$work"
