# Runs in a job's container: CLONE-URL COMMIT TARGET [COMMAND…]. POSIX sh and git, nothing else.
# Exit code 121: not the tested code's fault; the job is tried again.
exec 2>&1
set -eu
url=$1 commit=$2 target=$3
shift 3

if [ -e /run/.containerenv ]; then cat /run/.containerenv; fi
uname -a
mkdir -p "$TEST_ATTACHMENTS"

# The image's own folder can be closed even to root, who has no capabilities here.
if ! mkdir make-checkout-workdir 2>/dev/null; then cd /var/tmp; fi
try=1
until git clone "$url" make-checkout-workdir; do
    if [ "$try" -ge 5 ]; then echo "git clone failed $try times"; exit 121; fi
    rm -rf make-checkout-workdir
    sleep "$try"
    try=$((try + 1))
done
cd make-checkout-workdir
# What a branch holds is there already, by an abbreviated name too; a pull's head is not.
if ! git checkout --quiet --detach "$commit" 2>/dev/null; then
    git fetch origin "$commit" || exit 121
    git checkout --quiet --detach FETCH_HEAD
fi
git --no-pager log -1 --oneline
if [ -n "$target" ]; then
    git fetch origin "$target" || exit 121
    git -c user.name=flotilla -c user.email=flotilla@localhost rebase FETCH_HEAD
    git --no-pager log --oneline FETCH_HEAD..HEAD
fi

if [ "$#" -eq 0 ]; then
    if [ -e .cockpit-ci/run ]; then set -- .cockpit-ci/run; else set -- test/run; fi
fi
exec "$@"
