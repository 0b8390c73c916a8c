# Shared by the scripts in this directory: which Debian packages are needed for what, how they are installed, how a build
# directory is made. Source it from bash; it turns strict mode on and defines functions, nothing else happens.
# shellcheck shell=bash disable=SC2034 # the lists are for those who source this
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What building the agent and all its modules takes.
BUILD_PACKAGES=(
  g++ libc6-dev meson ninja-build pkg-config python3
  libev-dev libfmt-dev libssl-dev libsystemd-dev libyaml-cpp-dev libsqlite3-dev libcpp-httplib-dev libnghttp2-dev nlohmann-json3-dev
  libcurl4-openssl-dev libpqxx-dev libmysqlcppconn-dev libldap-dev libc-ares-dev libnfs-dev libsmbclient-dev librabbitmq-dev libexpat1-dev
)
# What running it and looking at it takes.
RUN_PACKAGES=(ca-certificates curl procps)
# What the tests take beside that: compilers and linters, then the real servers.
TEST_PACKAGES=(
  catch2 gcc clang-19 libclang-rt-19-dev llvm-19 clang-format-14
  python3-pytest python3-pytest-timeout python3-pytest-xdist python3-yaml python3-jsonschema python3-grpcio python3-psycopg2 python3-pymysql openssl iproute2 util-linux systemd
  postgresql pgbouncer mariadb-server mariadb-client slapd ldap-utils haproxy nginx-light prometheus varnish apache2-bin curl
  chromium chromium-driver python3-selenium
  monitoring-plugins-basic monitoring-plugins-standard resource-agents valgrind
  redis-server redis-sentinel redis-tools memcached unbound knot postfix dovecot-imapd dovecot-pop3d chrony etcd-server
  nfs-ganesha nfs-ganesha-vfs rpcbind samba rabbitmq-server
  nghttp2-server python3-botocore pdns-server pdns-backend-bind pdns-recursor
  keepalived etcd-client patroni pacemaker corosync pacemaker-cli-utils faketime nftables bind9-dnsutils knot-dnsutils
  man-db zsh fish bash-completion
)
# What the benchmarks take beside that.
BENCH_PACKAGES=(wrk nagios4-core)

step_name=''
step_start=0
# Says what happens now; how long the step before took is printed with it.
step() {
  step_done
  step_name=$1
  step_start=$SECONDS
  printf '== %s\n' "$1"
}
step_done() {
  [ -z "$step_name" ] || printf '   %s: %d s\n' "$step_name" $((SECONDS - step_start))
  step_name=''
}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit 1
}

# Runs a command as root: directly, or with sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints those of its arguments that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
      installed) ;;
      *) printf '%s\n' "$package" ;;
    esac
  done
}

policy=/usr/sbin/policy-rc.d
policy_mark='# put here by vitald'"'"'s scripts while packages are installed'

# Debian starts a server as it installs it. While this file says 101, it does not. One that was there before is respected.
forbid_service_start() {
  [ ! -e "$policy" ] || return 0
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}
allow_service_start() {
  if grep -qsF "$policy_mark" "$policy"; then as_root rm -f "$policy"; fi
}

# Installs what is missing of the named packages, and says so. Nothing is downloaded or changed if nothing is missing.
install_packages() {
  command -v dpkg-query >/dev/null || die "this needs Debian 12 (no dpkg-query here); on another system install by hand: $*"
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} -eq 0 ]; then
    echo "   all ${#} packages are installed"
    return 0
  fi
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "run this as root, or install yourself: apt-get install ${missing[*]}"
  fi
  echo "   installing ${missing[*]}"
  local log
  log=$(mktemp)
  trap allow_service_start EXIT
  forbid_service_start
  local apt=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600
    -o Acquire::Retries=3)
  if ! { as_root "${apt[@]}" update && as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"; } \
    </dev/null >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "apt-get could not install the packages above; see its last lines"
  fi
  rm -f "$log"
  allow_service_start
  trap - EXIT
}

# configure DIRECTORY OPTION...: makes a Meson build directory, or brings the one that exists to these options. With
# ccache installed it is used. `configure --any-options DIRECTORY OPTION...` is content with whatever options it has.
configure() {
  local any=no
  if [ "$1" = --any-options ]; then any=yes && shift; fi
  local directory=$1
  shift
  local cc=${CC:-gcc} cxx=${CXX:-g++}
  if command -v ccache >/dev/null; then cc="ccache $cc" cxx="ccache $cxx"; fi
  local place="$top $cc $cxx" have='' how=()
  if [ -f "$directory/build.ninja" ]; then
    [ ! -f "$directory/.configured" ] || have=$(<"$directory/.configured")
    case $have in
      "$place $*") return 0 ;;
      "$place "*) [ "$any" = no ] || return 0; how=(--reconfigure) ;;
      *) how=(--wipe) ;; # another compiler, or moved from elsewhere
    esac
  fi
  local log
  log=$(mktemp)
  if ! CC=$cc CXX=$cxx meson setup "${how[@]}" "$directory" "$top" "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "meson could not configure $directory; see its last lines"
  fi
  rm -f "$log"
  printf '%s' "$place $*" >"$directory/.configured"
}

# build DIRECTORY [TARGET...]: quiet while it works, the compiler's words if it does not.
build() {
  local directory=$1
  shift
  local log
  log=$(mktemp)
  if ! ninja -C "$directory" "$@" >"$log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] (Compiling|Linking|Generating)' "$log" | head -n 120 >&2
    rm -f "$log"
    die "the build in $directory failed; see above"
  fi
  rm -f "$log"
}
