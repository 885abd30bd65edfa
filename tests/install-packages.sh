#!/bin/bash
# Installs what the tests need beside git and a Rust toolchain, on Debian, Ubuntu and Fedora.
# Does nothing, and needs no root, when all of it is there.
set -euo pipefail

POLICY=/usr/sbin/policy-rc.d

# Package, and what it is for. "?" before a name: only where the distribution has it.
debian_packages() {
    cat <<'EOF'
rabbitmq-server  the broker
podman           runs the containers of jobs
runc             starts containers also where crun does not (hybrid control groups)
catatonit        podman run --init
uidmap           podman without root
?netavark        podman's networks
iptables         the same
busybox-static   the shell in the test image
gcc              the C parts of the TLS library and of the allocator
make             the C parts of the allocator
libc6-dev        the C parts of the TLS library
openssl          checks our certificates
curl             talks to our programs in scripts
chromium         looks at the pages of logs
fonts-dejavu-core the letters on those pages
python3-pika     plays the programs of an existing deployment
bsdutils         a terminal for a test (script)
EOF
}

fedora_packages() {
    cat <<'EOF'
rabbitmq-server  the broker
podman           runs the containers of jobs
catatonit        podman run --init
busybox          the shell in the test image
git-daemon       serves the repositories that jobs clone
gcc              the C parts of the TLS library and of the allocator
make             the C parts of the allocator
glibc-devel      the C parts of the TLS library
openssl          checks our certificates
curl             talks to our programs in scripts
chromium         looks at the pages of logs
dejavu-sans-mono-fonts the letters on those pages
python3-pika     plays the programs of an existing deployment
/usr/bin/script  a terminal for a test
EOF
}

say() {
    printf 'install-packages: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "needs root or sudo to run: $*"
    fi
}

debian_has() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

debian_offers() {
    [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

fedora_has() {
    rpm --quiet --query --whatprovides "$1"
}

# Reads lines of a list; prints those whose package is not installed.
missing() {
    local has=$1 package purpose
    while read -r package purpose; do
        "$has" "${package#\?}" || printf '%s %s\n' "$package" "$purpose"
    done
}

# Debian starts the services of a package that it installs. Nobody asked for a broker of the whole
# machine, so that is forbidden meanwhile, unless the machine has a policy of its own.
forbid_service_starts() {
    if [ -e "$POLICY" ]; then
        say "$POLICY exists and decides whether a broker is started"
        return
    fi
    say "services are not started while packages are installed ($POLICY, removed again)"
    trap 'as_root rm -f "$POLICY"' EXIT
    # shellcheck disable=SC2016 # the script's own $
    as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$1" && chmod 755 "$1"' sh "$POLICY"
}

# A package that was not there before must not bring a broker with the next boot either.
disable_broker() {
    if [ -d /run/systemd/system ]; then
        say "the service rabbitmq-server is disabled: the tests start brokers of their own"
        as_root systemctl disable rabbitmq-server
    fi
}

install_debian() {
    local wanted=() package purpose list
    list=$(debian_packages | missing debian_has)
    [ -n "$list" ] || return 0
    # An optional package that is not offered here is missing for ever: not worth an update.
    if grep -qv '^?' <<<"$list"; then
        as_root apt-get update --quiet
    fi
    while read -r package purpose; do
        if [ "${package#\?}" != "$package" ] && ! debian_offers "${package#\?}"; then
            continue
        fi
        say "installing ${package#\?}: $purpose"
        wanted+=("${package#\?}")
    done <<<"$list"
    [ ${#wanted[@]} -gt 0 ] || return 0
    case " ${wanted[*]} " in
    *" rabbitmq-server "*) forbid_service_starts ;;
    esac
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${wanted[@]}"
    case " ${wanted[*]} " in
    *" rabbitmq-server "*) disable_broker ;;
    esac
}

install_fedora() {
    local wanted=() package purpose list
    list=$(fedora_packages | missing fedora_has)
    [ -n "$list" ] || return 0
    while read -r package purpose; do
        say "installing $package: $purpose"
        wanted+=("$package")
    done <<<"$list"
    as_root dnf install --assumeyes --setopt=install_weak_deps=False "${wanted[@]}"
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    install_debian
elif command -v rpm >/dev/null && command -v dnf >/dev/null; then
    install_fedora
else
    say "this is neither Debian, Ubuntu nor Fedora; please install what goes by these names there:"
    fedora_packages >&2
    exit 1
fi
