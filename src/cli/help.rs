//! What `--help` prints below the options, and the man pages print as sections: examples, variables, exit codes, signals.

pub const MORE: &str = "\
Run `gatewright --help` for examples, environment variables, exit codes and signals, and
`gatewright COMMAND --help` for a command.";

pub const PROGRAM: &str = "\
Examples:
  Write a first configuration, and run it:
      gatewright init
      gatewright
  Validate an edit before you deploy it:
      gatewright check --strict /etc/gatewright/gateway.yaml
  Inspect a running gateway, and reload it:
      gatewright status
      gatewright reload
  Run a second instance next to the first:
      PORT=3001 DATABASE_URL=sqlite://two.db GATEWRIGHT__ADMIN__ADDRESS=127.0.0.1:9902 gatewright

Environment:
  GATEWRIGHT_CONFIG                Configuration file, if none is given
  GATEWRIGHT__SECTION__KEY         Overrides one value of the configuration:
                                   GATEWRIGHT__LISTENERS__WEB__ADDRESS=0.0.0.0:80 sets
                                   listeners.web.address
  GATEWRIGHT_ADMIN_ADDRESS         Admin address for `status` and `reload`
  GATEWRIGHT_ADMIN_TOKEN           Admin token for `status` and `reload`
  GATEWRIGHT_RUNTIME_FILE          File with the health address, for `run` and `healthcheck`
  GATEWRIGHT_HEALTHCHECK_ADDRESS   Address for `healthcheck`
  NO_COLOR, CLICOLOR_FORCE         Turn colors off or on, for `--color auto`
  OTEL_*                           Telemetry settings, as defined by OpenTelemetry
  HOST, PORT, DATABASE_URL, JWT_SECRET, ENVIRONMENT
                                   Used by the shipped configuration, as ${env.NAME}

Exit codes:
  0    Success. `run`: the gateway shut down after a signal
  1    The configuration has errors, or the command failed. `run`: the gateway did not start;
       restarting does not help until the cause is fixed
  2    The command line is invalid
  3    `db copy`: the copy ended, but some tables differ
  4    `db copy`: FROM has something that gatewright does not know; nothing was copied
  130  `run`: a second signal forced an immediate exit

Signals:
  SIGTERM, SIGINT (Ctrl-C)
       Shut down: the readiness endpoint returns 503, connections are accepted for
       `shutdown.grace`, then open requests have `shutdown.drain` to finish. After a second signal,
       exit immediately
  SIGHUP
       Reload the configuration
  SIGUSR1, SIGUSR2
       Nothing: they are logged and ignored";

pub const RUN: &str = "\
Examples:
  gatewright run /etc/gatewright/gateway.yaml
  PORT=3001 DATABASE_URL=sqlite://two.db GATEWRIGHT__ADMIN__ADDRESS=127.0.0.1:9902 gatewright run

Exit codes:
  0    The gateway shut down after a signal
  1    The gateway did not start
  130  A second signal forced an immediate exit";

pub const INIT: &str = "\
Examples:
  gatewright init
  gatewright init api notes.yaml
  gatewright init proxy - > gateway.yaml";

pub const CHECK: &str = "\
FILE may be `-` for standard input, or a pipe; relative paths are then resolved against the current
directory.

Examples:
  gatewright check
  gatewright check --strict gateway.yaml
  gatewright check --format sarif gateway.yaml > gatewright.sarif
  gatewright check --explain GW0201
  envsubst < gateway.yaml.tmpl | gatewright check -

Exit codes:
  0    The configuration is valid
  1    The configuration has errors; with `--strict`, errors or warnings";

pub const ROUTES: &str = "\
Examples:
  gatewright routes
  gatewright routes --format json gateway.yaml | jq '.routes[].name'";

pub const EXPLAIN: &str = "\
Examples:
  gatewright explain GET /api/users/7
  gatewright explain POST https://api.example.com/orders gateway.yaml -H 'x-canary: 1'";

pub const MIGRATE: &str = "\
Examples:
  gatewright migrate gateway.yaml
  gatewright migrate --apply gateway.yaml
  gatewright migrate --format sql gateway.yaml > changes.sql
  gatewright migrate --prune --apply --allow-destructive gateway.yaml

Exit codes:
  0    Nothing is to be done, or it was done
  1    The changes cannot be made, or failed; nothing was changed
  2    There are changes to make, and `--apply` is not given; or the command line is invalid";

pub const STATUS: &str = "\
By default, the address and the token come from the configuration. If that sets no token, the
gateway generates one and writes it to $XDG_STATE_HOME/gatewright/admin-PORT.token, where only the
same user can read it. XDG_STATE_HOME defaults to ~/.local/state.

Examples:
  gatewright status
  gatewright status --address 127.0.0.1:9902
  gatewright status --format json | jq .generation

Exit codes:
  0    The gateway responded
  1    It did not, or it rejected the token";

pub const RELOAD: &str = "\
The defaults of the address and the token are those of `gatewright status`.

Examples:
  gatewright reload
  gatewright reload /etc/gatewright/gateway.yaml
  gatewright reload --wait=10s

Exit codes:
  0    The gateway serves the current files
  1    It rejected them, or it did not respond";

pub const HEALTHCHECK: &str = "\
Examples:
  gatewright healthcheck
  gatewright healthcheck --address 127.0.0.1:3001 --live
  gatewright healthcheck --runtime-file /run/gatewright.json --quiet

Exit codes:
  0    The gateway is ready; with `--live`, alive
  1    It is not, or it did not respond within 2 seconds";

pub const TOKEN: &str = "\
The secret comes from the configuration. If it is ${env.JWT_SECRET}, set the variable to the value
that the running gateway was started with.

Examples:
  gatewright token --sub ann
  gatewright token --sub root --role admin --ttl 10m gateway.yaml
  gatewright token --sub ann --claim 'org={\"id\":7}'
  curl http://127.0.0.1:3000/api/users -H \"authorization: Bearer $(gatewright token --sub root)\"";

pub const API_KEY: &str = "\
Put the hash into the file or the resource of an `api_key` plugin. Any long random text can be a key:
its hash is `sha256:` and the output of `printf %s KEY | sha256sum`.

Examples:
  gatewright api-key
  gatewright api-key --prefix acme_";

pub const SCHEMA: &str = "\
Editors with YAML support complete and validate a file whose first line refers to the schema:
  # yaml-language-server: $schema=./gateway.schema.json

Examples:
  gatewright schema > gateway.schema.json
  gatewright schema --fragment > gateway.fragment.schema.json
  gatewright schema --markdown | less";

pub const COMPLETIONS: &str = "\
Examples:
  bash:
      gatewright completions bash > ~/.local/share/bash-completion/completions/gatewright
  zsh, with ~/.zfunc in $fpath:
      gatewright completions zsh > ~/.zfunc/_gatewright
  fish:
      gatewright completions fish > ~/.config/fish/completions/gatewright.fish";

pub const MAN: &str = "\
Examples:
  gatewright man | man -l -
  gatewright man --dir ~/.local/share/man/man1";

pub const OPENAPI: &str = "\
Examples:
  gatewright openapi > openapi.json
  gatewright openapi /etc/gatewright/gateway.yaml --listener internal
  gatewright openapi | npx openapi-typescript -o api.ts";

pub const DB: &str = "\
Examples:
  gatewright db backup shop.db
  gatewright db restore shop.db
  gatewright db copy --from main --to postgres://app@db.internal/shop";

pub const DB_BACKUP: &str = "\
The database may be in use. A PostgreSQL database is backed up with `pg_dump`: the command prints how.

Examples:
  gatewright db backup shop.db
  gatewright db backup --config /etc/gatewright/gateway.yaml --store main /backups/shop-$(date +%F).db
  gatewright db backup --force shop.db

Exit codes:
  0    The backup is complete and was checked
  1    There is no new backup; the reason is printed";

pub const DB_RESTORE: &str = "\
The gateway must be stopped. The replaced database is kept next to the new one, as
NAME.replaced-TIME. The backup must fit the configuration, as in a reload.

Examples:
  gatewright db restore shop.db
  gatewright db restore --config /etc/gatewright/gateway.yaml --store main /backups/shop.db

Exit codes:
  0    The database was replaced
  1    Nothing was changed; the reason is printed";

pub const DB_COPY: &str = "\
FROM and TO are names of stores of the configuration, or URLs. The path of a URL starts in the
current directory. Put a password into the configuration or the variable PGPASSWORD: others can see
the arguments of a running command.

TO must have no tables, or hold an earlier copy of FROM that no gateway has used. Whatever differs there
is replaced. Tables, views and columns of FROM that gatewright does not know are named, and nothing is
copied, unless you add `--leave-out-unknown`.

Examples:
  gatewright db copy --from main --to new
  gatewright db copy --from sqlite://data/shop.db --to postgres://app@db.internal/shop
  gatewright db copy --format json --from main --to new

Exit codes:
  0    Both sides are equal
  1    The copy did not end: run it again
  2    The command line is invalid
  3    The copy ended, but some tables differ
  4    FROM has tables, views or columns that gatewright does not know; nothing was copied";

pub const RESOURCE: &str = "\
The path of a URL starts in the current directory. What a resource does not express is a comment at
its place. The next step is `gatewright migrate --adopt`, by which gatewright takes the table.

Examples:
  gatewright resource --from sqlite://shop.db --table products > gateway.yaml
  gatewright resource --from postgres://app@db.internal/shop --table products > gateway.yaml
  gatewright check gateway.yaml";
