# shellcheck shell=sh
# A hook of dracut's, sourced when it reads the kernel command line: it does not know root=live:… by itself, and would refuse it.
# shellcheck disable=SC2154,SC2034
case $root in
live:LABEL=* | live:CDLABEL=* | live:UUID=* | live:PARTUUID=* | live:/dev/*) rootok=1 ;;
esac
