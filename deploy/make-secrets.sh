#!/bin/sh
# Makes the secrets of a new site in deploy/secrets/, one file each; those that are there already stay as they are.
# The directory is for its owner alone. Containers see single files of it, which is why the files can be read.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }
keep() {
    [ -s "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"
    chmod 644 "secrets/$1"
}

keep secret_key "$(random 48)"
keep field_encryption_keys "$(random 32)"
keep postgres_password "$(random 24 | tr -d '=')"
keep metrics_token "$(random 24 | tr -d '=')"
keep database_url "postgres://portal:$(cat secrets/postgres_password)@postgres:5432/portal"
[ -e secrets/email_url ] || keep email_url "smtp://localhost:25"
echo "The secrets are in $(pwd)/secrets. Put your mail server's address into secrets/email_url."
echo "Keep a copy of field_encryption_keys apart from the backups: without it they cannot be read."
