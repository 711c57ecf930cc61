#!/bin/sh
# Makes the secrets of docker-compose.yml, once: a password for Redis, the ACL file that knows
# only its hash, and the key that seals records. What exists is kept. The files are readable
# because the users inside the containers must read them; the folder is not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/secrets}

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

mkdir -p "$dir"
chmod 0700 "$dir"
umask 022
[ -s "$dir/redis-password" ] || random > "$dir/redis-password"
[ -s "$dir/postern-key" ] || random > "$dir/postern-key"
hash=$(printf %s "$(cat "$dir/redis-password")" | sha256sum | cut -d' ' -f1)
sed "s/@SHA256@/$hash/" "$here/users.acl" > "$dir/users.acl.new"
mv "$dir/users.acl.new" "$dir/users.acl"
echo "secrets are in $dir"
