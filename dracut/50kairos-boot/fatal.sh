# shellcheck shell=sh
# A hook of dracut's, sourced when the initrd cannot go on, whatever failed in it, before a shell is given or the machine restarts
# (not when a shutdown has trouble). The program ends the boot: the reason on every console and for the next boot, then the next
# entry. It is told whether a shell follows, which dracut decides so.
# shellcheck disable=SC2154
if [ "$action" != Shutdown ]; then
    if getargbool 1 rd.shell -d -y rdshell || getarg rd.break -d rdbreak > /dev/null; then
        /usr/bin/kairos-boot initrd fatal shell
    else
        /usr/bin/kairos-boot initrd fatal
    fi
fi
