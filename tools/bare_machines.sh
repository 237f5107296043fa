#!/bin/sh
# The two commands of README.md on machines that have only what README.md names. As root, on Debian with debootstrap:
#
#   MIRROR=... FOLDER=... tools/bare_machines.sh demo|test MACHINE...
#
#   MIRROR    address of a Debian mirror
#   FOLDER    where the machines are made: some 2 GB each, which stay
#   MACHINE   a suite of Debian (`bookworm`, `trixie`, `sid`), made by debootstrap and entered by chroot; with one of its other
#             versions of Python after a colon (`sid:python3.15`); or the path of a Python: this machine, with an empty environment
#
# The last commit of this repository is cloned into each. pip finds its index as on this machine: its configuration, its PIP_*
# variables and the certificates are copied. What a command printed is in FOLDER/MACHINE.COMMAND.log, with how long it took.
set -eu
: "${MIRROR:?}" "${FOLDER:?}"
ROOT=$(cd "$(dirname "$0")/.." && pwd)
COMMAND=$1
shift
mkdir -p "$FOLDER"
FOLDER=$(cd "$FOLDER" && pwd)
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

# Debian's packages that README.md names, and those without which pip reaches no index by https.
make_machine() { # SUITE PYTHON PLACE
    [ -e "$3/made" ] && return
    rm -rf "$3"
    debootstrap --variant=minbase --include="$2-dev,$2-venv,g++" "$1" "$3" "$MIRROR" > "$3.debootstrap.log"
    mkdir -p "$3/etc/ssl/certs" "$3/etc/xdg"
    cp "$CERTIFICATES" "$3$CERTIFICATES"
    for path in /etc/pip.conf /etc/xdg/pip; do
        [ -e "$path" ] && cp -r "$path" "$3$path"
    done
    cp /etc/resolv.conf /etc/hosts "$3/etc/"
    touch "$3/made"
}

enter() { # PLACE COMMAND...
    place=$1
    shift
    for path in proc sys dev dev/pts dev/shm; do
        mountpoint -q "$place/$path" || mount --bind "/$path" "$place/$path"
    done
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        $(env | grep '^PIP_') chroot "$place" "$@"
}

leave() { # PLACE
    for path in dev/shm dev/pts dev sys proc; do
        mountpoint -q "$1/$path" && umount "$1/$path"
    done
    true
}

failed=0
for machine in "$@"; do
    name=$(echo "$machine" | tr /: __)
    log="$FOLDER/$name.$COMMAND.log"
    case $machine in
    */*)
        rm -rf "$FOLDER/$name"
        git clone --quiet "$ROOT" "$FOLDER/$name"
        set -- env -i PATH="/usr/bin:/bin" HOME="$HOME" LANG=C.UTF-8 TERM="${TERM:-dumb}" $(env | grep '^PIP_') \
            sh -c "cd '$FOLDER/$name' && exec '$machine' dev.py $COMMAND"
        ;;
    *)
        suite=${machine%%:*}
        python=python3
        [ "$suite" = "$machine" ] || python=${machine#*:}
        make_machine "$suite" "$python" "$FOLDER/$name"
        rm -rf "$FOLDER/$name/logly"
        git clone --quiet "$ROOT" "$FOLDER/$name/logly"
        set -- enter "$FOLDER/$name" sh -c "cd /logly && exec $python dev.py $COMMAND"
        ;;
    esac
    begin=$(date +%s)
    code=0
    "$@" > "$log" 2>&1 || code=$?
    leave "$FOLDER/$name"
    echo "$machine: $COMMAND, exit code $code, $(($(date +%s) - begin)) s: $log"
    [ "$code" = 0 ] || failed=1
done
exit $failed
