#!/bin/sh
# Says whether the public test data is in place; with --missing, what that means.
dir=${SUITES:-../shared/suites}
if [ "${1:-}" = --missing ]; then
  [ -d "$dir" ] && exit 1 # it is there: the tests themselves failed
  [ -z "${CI:-}" ] || exit 1
  echo "CONFORMANCE WAS NOT RUN: no test data at $dir (set SUITES and CORPORA)"
  exit 0
fi
[ -d "$dir" ]
