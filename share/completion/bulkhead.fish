# fish completion for bulkhead: the program itself says what may come next.
# For one shell: bulkhead completion fish | source
function __bulkhead_words
    set -l typed (commandline -opc)
    set -l program $typed[1]
    set -e typed[1]
    set -l current (commandline -ct)
    test (count $current) -eq 0; and set current ''
    set -l before (string match -r -- '^--[^=]*=' $current)
    set -l value (string replace -r -- '^--[^=]*=' '' $current)
    for line in ($program completion words -- $typed $current 2> /dev/null)
        switch $line
            case ':file'
                __fish_complete_path $value | string replace -r -- '^' "$before"
            case ':directory'
                __fish_complete_directories $value '' | string replace -r -- '^' "$before"
            case ':command'
                complete -C "$value"
            case ':nospace'
            case '*'
                echo $line
        end
    end
end
complete -c bulkhead -f -a '(__bulkhead_words)'
