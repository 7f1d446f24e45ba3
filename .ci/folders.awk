# Checks which folder of a crate imports which, against the table .ci/folders, and prints what it found.
#   awk -f .ci/folders.awk .ci/folders SOURCE...
# A folder is one of the crate's source folder, or a file beside them. Tests may import anything.

# The name of the folder that a path below a crate's source folder is in.
function folder_of(path) {
    sub(/\/.*/, "", path)
    sub(/\.rs$/, "", path)
    return path
}

function wrong(text) {
    print text
    bad = 1
}

# Notes that this file's folder imports `name`: a folder, or something that lib.rs takes from one.
function imports(name) {
    if ((src, name) in from) name = from[src, name]
    if (!((src, name) in row) || name == here) return
    if (!((src, here, name) in found)) count[src]++
    found[src, here, name] = 1
    if (!((src, here, name) in may)) wrong(FILENAME ":" FNR ": " here " imports " name ", which .ci/folders does not allow")
}

# All names that follow `crate::` (and, where `above` is set, `super::`) in a piece of code.
function look(code, above,    inner, depth, i, c, word) {
    if (above) gsub(/super::/, "crate::", code)
    while (match(code, /crate::/)) {
        code = substr(code, RSTART + 7)
        if (substr(code, 1, 1) != "{") {
            match(code, /^[A-Za-z_0-9]*/)
            imports(substr(code, 1, RLENGTH))
            continue
        }
        depth = 0
        word = ""
        for (i = 1; i <= length(code); i++) {
            c = substr(code, i, 1)
            if (depth == 1 && c ~ /[A-Za-z_0-9]/) word = word c
            else if (depth == 1 && (c == "," || c == ":" || c == "}")) {
                if (word != "") imports(word)
                word = ""
                # The rest of a path is not of interest.
                if (c == ":") while (i < length(code) && substr(code, i + 1, 1) !~ /[,}{]/) i++
            }
            if (c == "{") depth++
            if (c == "}" && --depth == 0) break
        }
    }
}

FNR == 1 { file++ }

# The table: source folder, folder, colon, what it may import.
file == 1 && /^[^#]/ {
    src = $1
    here = $2
    sub(/:$/, "", here)
    row[src, here] = 1
    for (i = 3; i <= NF; i++) {
        if (!((src, $i) in row)) wrong(".ci/folders:" FNR ": " $i " stands below " here ": that would be a circle")
        may[src, here, $i] = 1
    }
    folders[src]++
    next
}
file == 1 { next }

FNR == 1 {
    src = FILENAME
    sub(/\/src\/.*/, "/src", src)
    path = substr(FILENAME, length(src) + 2)
    here = folder_of(path)
    is_lib = path == "lib.rs"
    # Here `super` is the crate itself.
    top = path !~ /\// || path ~ /^[^\/]*\/mod\.rs$/
    test = path ~ /(^|\/)tests\.rs$/
    use = ""
    if (!is_lib && !((src, here) in row)) wrong(FILENAME ": .ci/folders has no row for " here)
}
/^#\[cfg\(test\)\]/ { test = 1 }
test { next }
{
    line = $0
    sub(/\/\/.*/, "", line)
    use = use line
    # A statement may go over several lines.
    if (use ~ /^ *(pub(\([a-z ]*\))? )?use / && use !~ /;/) next
    if (!is_lib) look(use, top)
    else if (use ~ /^pub use [a-z_]*::/) {
        name = use
        sub(/^pub use /, "", name)
        unit = name
        sub(/::.*/, "", unit)
        sub(/^[a-z_]*::/, "", name)
        n = split(name, names, /[^A-Za-z_0-9]+/)
        for (i = 1; i <= n; i++) if (names[i] != "") from[src, names[i]] = unit
    }
    use = ""
}

END {
    for (src in folders) print src ": " folders[src] " folders, " count[src] + 0 " imports between them" (bad ? "" : ", no circle")
    exit bad
}
