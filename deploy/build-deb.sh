#!/bin/sh
# Makes postern_VERSION_ARCH.deb in the folder given (default: bin). The same sources make the
# same bytes. ARCH=arm64 deploy/build-deb.sh builds for another machine.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/bin}
arch=${ARCH:-$(dpkg --print-architecture)}
version=${VERSION:-$(sed -n 's/^const version = "\(.*\)"$/\1/p' "$root/cmd/postern/version.go")}
: "${version:?}"
case $arch in
amd64 | arm64 | riscv64 | ppc64le | s390x) goarch=$arch ;;
ppc64el) goarch=ppc64le ;;
armhf) goarch=arm ;;
i386) goarch=386 ;;
*) echo "build-deb: unknown architecture $arch" >&2; exit 2 ;;
esac
deb=$root/deploy/debian
mkdir -p "$out"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 0755 "$tree"
umask 022

put() { install -D -p -m "$1" "$2" "$tree/$3"; }
(cd "$root" && CGO_ENABLED=0 GOOS=linux GOARCH=$goarch go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$tree/usr/bin/postern" ./cmd/postern)
chmod 0755 "$tree/usr/bin/postern"
put 0644 "$root/deploy/postern.service" lib/systemd/system/postern.service
put 0640 "$deb/postern.yaml" etc/postern/postern.yaml
put 0640 "$deb/own.yaml" etc/postern/rules.d/own.yaml
chmod 0750 "$tree/etc/postern" "$tree/etc/postern/rules.d"
doc=usr/share/doc/postern
for paper in operating stores checks limits authentication flow; do put 0644 "$root/docs/$paper.md" $doc/$paper.md; done
put 0644 "$root/docs/postern.schema.json" $doc/postern.schema.json
put 0644 "$root/deploy/postern.yaml" $doc/examples/postern.yaml
put 0644 "$deb/copyright" $doc/copyright
put 0644 "$deb/changelog" $doc/changelog
put 0644 "$deb/postern.1" usr/share/man/man1/postern.1
put 0644 "$deb/lintian-overrides" usr/share/lintian/overrides/postern
gzip -9n "$tree/$doc/changelog" "$tree/usr/share/man/man1/postern.1"

mkdir "$tree/DEBIAN"
size=$(du -k -s --apparent-size --exclude=DEBIAN "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" "$deb/control.in" > "$tree/DEBIAN/control"
install -m 0644 "$deb/conffiles" "$tree/DEBIAN/conffiles"
install -m 0755 "$deb/postinst" "$deb/prerm" "$deb/postrm" "$tree/DEBIAN/"
(cd "$tree" && find usr lib -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum > DEBIAN/md5sums)

# Files are as old as the entry of the changelog.
SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p' "$deb/changelog" | head -n 1)" +%s)
export SOURCE_DATE_EPOCH
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Z"${COMPRESS:-xz}" --build "$tree" "$out/postern_${version}_$arch.deb" >/dev/null
echo "$out/postern_${version}_$arch.deb"
