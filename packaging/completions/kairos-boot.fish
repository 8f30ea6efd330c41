# Completion of kairos-boot for fish.
set -l stages rootfs initramfs fs boot network reconcile
for name in kairos-boot kairos-agent kairos
    complete -c $name -n __fish_use_subcommand -f -a run-stage -d 'emit a stage'
    complete -c $name -n __fish_use_subcommand -f -a plan -d 'say what a stage would do, and change nothing'
    complete -c $name -n __fish_use_subcommand -f -a validate -d 'check cloud-config documents'
    complete -c $name -n __fish_use_subcommand -f -a schema -d 'print the JSON Schema of a cloud-config'
    complete -c $name -n __fish_use_subcommand -f -a status -d 'tell what ran in a boot'
    complete -c $name -n __fish_use_subcommand -f -a analyze -d 'tell where the time of a boot went'
    complete -c $name -n __fish_use_subcommand -f -a logs -d 'collect what a report of a fault needs'
    complete -c $name -n '__fish_seen_subcommand_from run-stage plan' -a "$stages"
    complete -c $name -n '__fish_seen_subcommand_from run-stage plan' -s d -l dotnotation -d 'the sources are dot-notation text'
    complete -c $name -n '__fish_seen_subcommand_from run-stage plan' -l root -r -a '(__fish_complete_directories)' -d 'work on the system below'
    complete -c $name -n '__fish_seen_subcommand_from run-stage plan' -l cloud-init-paths -r -F -d 'add a source'
    complete -c $name -n '__fish_seen_subcommand_from run-stage plan' -l override-cloud-init-paths -r -F -d 'replace the default sources'
    complete -c $name -n '__fish_seen_subcommand_from run-stage plan' -l only -d 'the stage alone'
    complete -c $name -n '__fish_seen_subcommand_from run-stage' -s a -l analyze -d 'print the order, run nothing'
    complete -c $name -n '__fish_seen_subcommand_from run-stage' -l strict -d 'stop at the first failure'
    complete -c $name -n '__fish_seen_subcommand_from run-stage' -l jobs -x -d 'let so many steps overlap'
    complete -c $name -n '__fish_seen_subcommand_from plan' -l cmdline -x -d 'stands for the kernel command line'
    complete -c $name -n '__fish_seen_subcommand_from plan' -l diff -d 'show how files would change'
    complete -c $name -n '__fish_seen_subcommand_from plan' -l all -d 'all stages of a boot'
    complete -c $name -n '__fish_seen_subcommand_from run-stage plan validate status analyze' -l json -d 'for programs'
    complete -c $name -n '__fish_seen_subcommand_from status analyze' -l boot -x -d 'an earlier boot'
    complete -c $name -n '__fish_seen_subcommand_from analyze' -f -a 'blame timeline critical-chain'
    complete -c $name -n '__fish_seen_subcommand_from analyze' -l svg -r -F -d 'write a picture'
    complete -c $name -n '__fish_seen_subcommand_from schema' -l format -x -a json -d 'the form'
    complete -c $name -n '__fish_seen_subcommand_from logs' -l output -r -F -d 'where to write'
end
