#!/bin/sh
# Installs the Debian packages behind the names given, where they are missing. Services that
# a package would start are kept from starting: tests and demo start their own.
set -eu

packages=
want() { # program package...
  program=$1; shift
  command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || packages="$packages $*"
}
for need in "$@"; do
  case $need in
    go) command -v go >/dev/null 2>&1 || { echo "Go 1.26 or newer is needed: https://go.dev/dl" >&2; exit 1; } ;;
    gcc) want gcc gcc libc6-dev ;;
    clamav) want clamd clamav-daemon; want sigtool clamav; want clamdscan clamdscan; want freshclam clamav-freshclam ;;
    postfix) want postfix postfix; [ -e /usr/lib/postfix/postfix-lmdb.so ] || packages="$packages postfix-lmdb" ;;
    dovecot) want dovecot dovecot-core; [ -x /usr/lib/dovecot/lmtp ] || packages="$packages dovecot-lmtpd" ;;
    swaks) want swaks swaks ;;
    python3) want python3 python3 ;;
    strace) want strace strace ;;
    rspamd) want rspamd rspamd ;;
    spamassassin) want spamassassin spamassassin ;;
    redis) want redis-server redis-server; want redis-cli redis-tools ;;
    dpkg) want dpkg-deb dpkg; want lintian lintian ;;
    unbound) want unbound unbound ;;
    nft) want nft nftables ;;
    chromium) want chromium chromium; [ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || packages="$packages fonts-noto-cjk" ;;
    ip) want ip iproute2; want sysctl procps ;;
    *) echo "install-needs: unknown name $need" >&2; exit 2 ;;
  esac
done
[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "please install:$packages" >&2; exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$packages"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod +x $policy
  trap '$sudo rm -f $policy' EXIT
fi
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
