# Completion of kairos-boot for bash; installed as bash-completion's kairos-boot, kairos-agent and kairos.
_kairos_boot() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= stage= i
    local verbs='run-stage plan validate test schema config state install manual-install reset upgrade sysext confext install-bundle pull-image bootentry rollback grubedit status analyze metrics doctor uuid render-template logs'
    local stages='rootfs initramfs fs boot network reconcile'
    local sources='--dotnotation --cloud-init-paths --override-cloud-init-paths --root'
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --root | --cmdline | --jobs | --cloud-init-paths | --override-cloud-init-paths | --boot | --svg | --textfile | --timeout | --format | --output | --junit | \
            --source | --disk-image | --config | --set | --size | --firmware | --seed | --device | \
            --image | --boot-entry | --exclude-path | --registry | --platform | --select | --host-root | --grub-file | --origin | --checksum | --root-path | --repository) ((i++)) ;;
        -*) ;;
        *) if [ -z "$verb" ]; then verb=${COMP_WORDS[i]}; elif [ -z "$stage" ]; then stage=${COMP_WORDS[i]}; fi ;;
        esac
    done
    case $prev in
    --root | --host-root | --root-path | --textfile) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    --cloud-init-paths | --override-cloud-init-paths | --svg | --output | --junit | --disk-image | --config | --device | --grub-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --format) COMPREPLY=($(compgen -W json -- "$cur")); return ;;
    --firmware) COMPREPLY=($(compgen -W 'bios efi both' -- "$cur")); return ;;
    --boot-entry) COMPREPLY=($(compgen -W 'active recovery' -- "$cur")); return ;;
    --select) COMPREPLY=($(compgen -W 'cos fallback recovery statereset' -- "$cur")); return ;;
    --jobs | --cmdline | --boot | --timeout | --source | --set | --size | --seed | --image | --exclude-path | --registry | --platform | --origin | --checksum | --repository) return ;;
    esac
    local words=
    case $verb in
    '') words="$verbs --help --version" ;;
    run-stage) words="--analyze --strict --jobs --only --json $sources"; [ -n "$stage" ] || words="$stages $words" ;;
    plan) words="--cmdline --json --diff --all --only $sources"; [ -n "$stage" ] || words="$stages $words" ;;
    validate) words='--dotnotation --json' ;;
    test) words='--junit' ;;
    schema) words='--format' ;;
    config) words='--json --root --origin'; [ -n "$stage" ] || words="get origin $words" ;;
    state) words='--json --root'; [ -n "$stage" ] || words="get $words" ;;
    install) words='--plan --json --source --reboot --poweroff --disk-image --config --set --size --firmware --seed --device --allow-insecure-registries auto' ;;
    manual-install) words='--plan --json --source --device --use-default-dirs --reboot --poweroff --allow-insecure-registries' ;;
    upgrade) words='--source --image --recovery --boot-entry --exclude-path --allow-insecure-registries --strict --plan --json --reboot --poweroff'
        if [ -z "$stage" ]; then words="list-releases $words"; elif [ "$stage" = list-releases ]; then words='--registry --all --pre --allow-insecure-registries'; fi ;;
    sysext | confext)
        case $stage in
        '') words='list install enable disable remove' ;;
        list) words='--active --passive --recovery --common --json' ;;
        install) words='--checksum --allow-insecure-registries file: https:// oci: ocifile:' ;;
        remove) words='--now' ;;
        *) words='--active --passive --recovery --common --now' ;;
        esac ;;
    install-bundle) words='--root-path --local-file --repository --allow-insecure-registries container:// run://' ;;
    pull-image) words='--platform' ;;
    reset) words='--plan --json --unattended --reboot --poweroff --reset-oem --keep-persistent --next-boot --with --host-root --state-only' ;;
    bootentry) words='--select --host-root' ;;
    rollback) words='--host-root' ;;
    grubedit) words='--grub-file'; [ -n "$stage" ] || words="set $words" ;;
    status) words='--boot --brief --steps --drift --wait --timeout --check --json --root' ;;
    metrics) words='--textfile --boot --root' ;;
    analyze) words='--boot --svg --root'; [ -n "$stage" ] || words="blame timeline critical-chain $words" ;;
    doctor) words="--json $sources" ;;
    render-template) words='--file' ;;
    logs) words='--output --root' ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    case $cur in -*) return ;; esac
    case $verb in
    validate | test | install | manual-install) COMPREPLY+=($(compgen -f -- "$cur")) ;;
    run-stage | plan) [ -z "$stage" ] || COMPREPLY+=($(compgen -f -- "$cur")) ;;
    esac
}
complete -o filenames -F _kairos_boot kairos-boot kairos-agent kairos
