#!/bin/sh
# Says whether the public test data was in place, and so whether conformance was tested.
for dir in "${SUITES:-../shared/suites}" "${CORPORA:-../shared/corpora}"; do
  [ -d "$dir" ] && continue
  echo "CONFORMANCE WAS NOT RUN: no test data at $dir (set SUITES and CORPORA)"
  [ -z "${CI:-}" ] || exit 1
done
