# Runs in a job's container: CLONE-URL COMMIT TARGET [COMMAND…]. POSIX sh and git, nothing else.
exec 2>&1
set -eu
url=$1 commit=$2 target=$3
shift 3

if [ -e /run/.containerenv ]; then cat /run/.containerenv; fi
uname -a
mkdir -p "$TEST_ATTACHMENTS"

try=1
until git clone "$url" make-checkout-workdir; do
    if [ "$try" -ge 5 ]; then echo "git clone failed $try times"; exit 1; fi
    rm -rf make-checkout-workdir
    sleep "$try"
    try=$((try + 1))
done
cd make-checkout-workdir
git fetch origin "$commit"
git checkout --detach FETCH_HEAD
if [ -n "$target" ]; then
    git fetch origin "$target"
    git rebase FETCH_HEAD
    git --no-pager log --oneline FETCH_HEAD..HEAD
fi

if [ "$#" -eq 0 ]; then
    if [ -e .cockpit-ci/run ]; then set -- .cockpit-ci/run; else set -- test/run; fi
fi
exec "$@"
