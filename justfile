# `just check` never writes; `just fix` does.

# What CI runs.
check:
    bash .ci/run

# Format, and apply what clippy can mend by itself.
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

# Rewrite the recorded output of the scenarios; read the difference before you commit it.
scenarios:
    UPDATE=1 cargo test -p rafted_value_sim --test scenarios

# Break one rule of the core at a time, and see what notices.
museum *ARGS:
    RUSTFLAGS='--cfg museum' cargo run --release --target-dir target/museum -p rafted_value_sim -- museum {{ARGS}}

# Every order in which threads may see a lease, in a build of its own.
loom:
    RUSTFLAGS="--cfg check_loom" cargo test --release --target-dir target/loom -p rafted_value --lib every_order

# The main job.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}
