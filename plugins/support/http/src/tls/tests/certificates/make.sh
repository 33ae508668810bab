#!/bin/sh
# Makes the certificates of the tests that the Rust library for tests cannot make, with OpenSSL 3. They are valid from 2020
# to 2120. The keys are for tests only.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
cat >"$work/ca.cnf" <<END
[ca]
default_ca = tests
[tests]
database = $work/index
new_certs_dir = $work
rand_serial = yes
unique_subject = no
policy = any
default_md = sha256
[any]
commonName = supplied
[version1]
[server]
subjectAltName = DNS:localhost
basicConstraints = CA:FALSE
[self]
subjectAltName = DNS:localhost
basicConstraints = CA:TRUE
[authority]
basicConstraints = critical,CA:TRUE
END

key() { # NAME CURVE
  openssl ecparam -name "$2" -genkey -noout -out "$work/$1.key"
}
sign() { # NAME COMMON-NAME EXTENSIONS [OPTIONS]; signs itself without -cert
  name=$1 subject=$2 extensions=$3
  shift 3
  openssl req -new -key "$work/$name.key" -out "$work/$name.csr" -subj "/CN=$subject"
  : >"$work/index"
  openssl ca -batch -notext -config "$work/ca.cnf" -in "$work/$name.csr" -out "$work/$name.crt" \
    -startdate 20200101000000Z -enddate 21200101000000Z -extensions "$extensions" "$@"
}

# X.509 version 1, for a server and a client.
key ca prime256v1
sign ca "Test CA" authority -selfsign -keyfile "$work/ca.key"
key v1 prime256v1
sign v1 localhost version1 -cert "$work/ca.crt" -keyfile "$work/ca.key"
openssl pkey -in "$work/v1.key" -out "$work/v1.pkcs8"
cat "$work/v1.crt" "$work/v1.pkcs8" >v1.pem

# P-521: an authority that signs with SHA-256, and a server with its key in SEC 1.
key p521-ca secp521r1
sign p521-ca "P-521 CA" authority -selfsign -keyfile "$work/p521-ca.key"
cp "$work/p521-ca.crt" p521-ca.pem
key p521 secp521r1
sign p521 localhost server -cert "$work/p521-ca.crt" -keyfile "$work/p521-ca.key"
cat "$work/p521.crt" "$work/p521.key" >p521.pem

# Encrypted keys, in PKCS#8 and in the older form, and keys of other kinds.
openssl pkey -in "$work/v1.key" -aes256 -passout pass:secret -out "$work/encrypted.key"
cat "$work/v1.crt" "$work/encrypted.key" >encrypted.pem
openssl ec -in "$work/v1.key" -aes256 -passout pass:secret -out "$work/older.key"
cat "$work/v1.crt" "$work/older.key" >encrypted-older.pem
openssl genpkey -algorithm ed448 -out "$work/ed448.key"
cat "$work/v1.crt" "$work/ed448.key" >ed448.pem
openssl genpkey -algorithm rsa-pss -out "$work/rsa-pss.key"
cat "$work/v1.crt" "$work/rsa-pss.key" >rsa-pss.pem

# A server's certificate that is signed by itself, as `openssl req -x509` makes it: also as a `TRUSTED CERTIFICATE`.
key self prime256v1
sign self localhost self -selfsign -keyfile "$work/self.key"
openssl pkey -in "$work/self.key" -out "$work/self.pkcs8"
cat "$work/self.crt" "$work/self.pkcs8" >self-signed.pem
openssl x509 -in "$work/self.crt" -trustout -addtrust serverAuth -setalias "a name" -out trusted.pem
openssl x509 -in "$work/self.crt" -trustout -addtrust clientAuth -out trusted-for-clients.pem
openssl x509 -in "$work/self.crt" -outform der -out self-signed.der

# A server's certificate that is signed with ECDSA and SHA-1.
key sha1 prime256v1
sign sha1 localhost server -cert "$work/ca.crt" -keyfile "$work/ca.key" -md sha1
openssl pkey -in "$work/sha1.key" -out "$work/sha1.pkcs8"
cat "$work/sha1.crt" "$work/sha1.pkcs8" >sha1.pem
cp "$work/ca.crt" ca.pem
rm -r "$work"
