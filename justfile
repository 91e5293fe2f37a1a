# Commands that maintainers repeat. `just` lists them.

_default:
    @just --list

# Everything that must pass before a change is merged.
ci:
    .ci/run

# Tests; extra arguments go to cargo: `just test --test differential`.
test *args:
    cargo test --workspace {{ args }}

# Benchmarks, each of which asserts its answer first.
bench *args:
    cargo bench --workspace {{ args }}

# What every kernel costs on this machine, beside a plain scalar loop: `just kernels`, `just kernels rsi`.
kernels *args:
    cargo run --release -p barloom-kernels --example kernel_table -- {{ args }}

# What the workloads cost on this machine, beside a plain scalar loop: `just workloads W1 W2`.
workloads *args:
    cargo run --release --example workloads {{ args }}

# The kernels against TA-Lib: values, or with --speed what an element costs in each (needs Python and its package index).
talib *args:
    tests/talib/run {{ args }}

# Rewrites the generated files, config/ and docs/indicators.md; look at the diff before committing it.
golden:
    UPDATE_GOLDEN=1 cargo test --test config_files --test indicator_docs

# The sweep of the README.
sweep *args:
    cargo run --release -- sweep --config config/ema_cross.toml --data data/sample --out out/ema_cross {{ args }}

# Result digests of debug and release, over threads, tile sizes and vector widths: all lines must be equal.
digest:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build
    cargo build --release
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    number=0
    digest() {
        number=$((number + 1))
        local build=$1
        shift
        "${CARGO_TARGET_DIR:-target}/$build/barloom" --quiet sweep --config config/ema_cross.toml --data data/sample --out "$out/$number" \
            "$@" | sed -n 's/^result digest //p'
    }
    {
        digest debug
        for threads in 1 2 8; do digest release --threads "$threads"; done
        for tile in 1 7 256 4096; do digest release --tile-bars "$tile"; done
        digest release --simd sse2
    } | tee "$out/digests"
    test "$(sort -u "$out/digests" | wc -l)" -eq 1 && echo "all equal"

# The engine against the reference engine on this many random cases with new seeds, on all cores. The first that differs
# is made smaller and told with the line that keeps it in tests/differential_cases.csv.
soak cases="1000000":
    SOAK_CASES={{ cases }} cargo test --release --test differential random_cases_agree -- --nocapture

# The readers of tables and of contract, bracket and funding files against this many seconds of made-up bytes each
# (needs cargo-fuzz and a C++ compiler).
fuzz seconds="600":
    #!/usr/bin/env bash
    set -euo pipefail
    for target in tables files; do
        mkdir -p "fuzz/corpus/$target"
        RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
            -dict=fuzz/words.dict -max_len=4096 -max_total_time={{ seconds }}
    done

# Advisories, licences, bans, sources (needs cargo-deny; fetches the advisory database).
deny:
    cargo deny check

# Everything `cargo publish` of the kernels would check, without publishing.
publish-kernels-dry:
    cargo publish --dry-run --locked -p barloom-kernels
