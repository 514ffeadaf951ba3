/* run.c: `weir run`, and a program with its job built in (weir_main): options, the config file,
 * loading the job. What runs it is wr_run. Long because the table of options, their help and what
 * each sets are read side by side.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "engine/cli/load.h"
#include "engine/run.h"

enum { MS_MAX = 3600000 };
#define CACHE_BYTES_MAX (1LL << 40)
#define WAL_BYTES_MIN (1LL << 20)

enum option_id {
    OPTION_INPUT,
    OPTION_OUTPUT,
    OPTION_STORE,
    OPTION_DELIVERY,
    OPTION_EPOCH_RECORDS,
    OPTION_EPOCH_MS,
    OPTION_POSITIONS_MS,
    OPTION_FORWARD_MS,
    OPTION_SYNC,
    OPTION_CACHE,
    OPTION_WAL_MAX,
    OPTION_UNTIL_END,
    OPTION_DRAIN,
    OPTION_ON_ERROR,
    OPTION_REJECTS,
    OPTION_REJECTS_MAX,
    OPTION_RENAME,
    OPTION_DROP_STATE,
    OPTION_REWIND,
    OPTION_DEFINE,
    OPTION_PROPERTY,
    OPTION_MARKER_FROM,
    OPTION_CONFIG,
    OPTION_CHECK,
    OPTION_STATS,
    OPTION_QUIET,
    OPTION_VERBOSE,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct wr_option options[] = {
    {"input", 'i', "NAME=URI", OPTION_INPUT},
    {"output", 'o', "NAME=URI", OPTION_OUTPUT},
    {"store", 's', "FILE", OPTION_STORE},
    {"delivery", 'd', "MODE", OPTION_DELIVERY},
    {"epoch-records", '\0', "N", OPTION_EPOCH_RECORDS},
    {"epoch-ms", '\0', "N", OPTION_EPOCH_MS},
    {"positions-ms", '\0', "N", OPTION_POSITIONS_MS},
    {"forward-ms", '\0', "N", OPTION_FORWARD_MS},
    {"sync", '\0', "full|normal|off", OPTION_SYNC},
    {"cache", '\0', "SIZE", OPTION_CACHE},
    {"wal-max", '\0', "SIZE", OPTION_WAL_MAX},
    {"until-end", '\0', NULL, OPTION_UNTIL_END},
    {"drain", '\0', NULL, OPTION_DRAIN},
    {"on-error", '\0', "stop|reject", OPTION_ON_ERROR},
    {"rejects", '\0', "URI", OPTION_REJECTS},
    {"rejects-max", '\0', "N", OPTION_REJECTS_MAX},
    {"rename", '\0', "OLD=NEW", OPTION_RENAME},
    {"drop-state", '\0', "NODE", OPTION_DROP_STATE},
    {"rewind", '\0', "SOURCE=earliest|OFFSET", OPTION_REWIND},
    {"define", 'D', "NAME=VALUE", OPTION_DEFINE},
    {"property", 'X', "[NAME:]PROPERTY=VALUE", OPTION_PROPERTY},
    {"marker-from", '\0', "store", OPTION_MARKER_FROM},
    {"config", 'c', "FILE", OPTION_CONFIG},
    {"check", '\0', NULL, OPTION_CHECK},
    {"stats", '\0', "FILE|-", OPTION_STATS},
    {"quiet", 'q', NULL, OPTION_QUIET},
    {"verbose", 'v', NULL, OPTION_VERBOSE},
    {"help", 'h', NULL, OPTION_HELP},
    {"version", '\0', NULL, OPTION_VERSION},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help_run[] =
"Runs a job until its inputs end, or until it is stopped (Ctrl-C, SIGTERM). Each\n"
"record takes effect exactly once, whatever crashes in between: start the same\n"
"command again and it goes on from where the store is. JOB.so is a shared object\n"
"made with weir.h: cc -shared -fPIC -o job.so job.c\n"
"\n";
static const char help_built_in[] =
"Runs the job that is built in, until its inputs end, or until it is stopped\n"
"(Ctrl-C, SIGTERM). Each record takes effect exactly once, whatever crashes in\n"
"between: start the same command again and it goes on from where the store is.\n"
"The program weir looks into the store: weir inspect, weir consume.\n"
"\n";
static const char help_options[] =
"What it reads and writes\n"
"  -i, --input NAME=URI     where source NAME reads: file:PATH, with * and []\n"
"                           many files (?follow=true&compression=gzip&missing=\n"
"                           fail|earliest|latest), gen:keyed,\n"
"                           gen:lines (?records=N&keys=K&size=B&partitions=P),\n"
"                           gen:nexmark (?records=N&seed=S&rate=R),\n"
"                           log:TOPIC?store=FILE, another job's topic,\n"
"                           kafka://HOST:PORT/TOPIC (?start=earliest|latest|\n"
"                           OFFSET|TIME&partitions=0-3+7&missing=fail)\n"
"  -o, --output NAME=URI    where sink NAME goes: table:NAME, log:TOPIC,\n"
"                           file:PATH, sql:FILE, stdout:, null:,\n"
"                           kafka://HOST:PORT/TOPIC (?partition=key|source|N)\n"
"  -s, --store FILE         the store; default NAME.weir in this directory\n"
"  -D, --define NAME=VALUE  an option of the job itself\n"
"  -X, --property [NAME:]PROPERTY=VALUE\n"
"                           a property of librdkafka, for all of Kafka or for\n"
"                           source or sink NAME, as security.protocol=ssl; @FILE\n"
"                           is a file's text; never printed or stored\n"
"  -c, --config FILE        options from a file, one a line, as in\n"
"                           \"input lines=file:in.txt\"; # starts a comment line,\n"
"                           ${NAME} is the environment's; the command line wins\n"
"\n"
"When it ends\n"
"      --until-end          when every input is read to where it ended at start\n"
"      --drain              at the end, let every window and timer fire; what is\n"
"                           read after that is late\n"
"      --check              only build the graph and list what it has\n"
"      --on-error MODE      with a record or timer that fails five times:\n"
"                           stop (default), or reject: it becomes a dead letter\n"
"      --rejects URI        a sink that dead letters go to as well\n"
"      --rejects-max N      stop when the store holds more dead letters; default\n"
"                           1000000\n"
"\n"
"How it is decided\n"
"  -d, --delivery MODE      exactly-once (default), at-least-once, at-most-once\n"
"      --epoch-records N    seal an epoch at N records, 1 to 16777216\n"
"      --epoch-ms N         or at this age; without both, as soon as possible\n"
"      --sync MODE          full: survives power loss (default); normal: survives\n"
"                           kill -9; off: a power cut may destroy the store\n"
"      --cache SIZE         memory for state that was read, default 64M\n"
"      --wal-max SIZE       stop when SQLite's log is larger, default 4G\n"
"      --positions-ms N     how often at-least-once stores positions (5000)\n"
"      --forward-ms N       how often output is copied outside, default 100\n"
"\n"
"When the job has changed (once; then start without them)\n"
"      --rename OLD=NEW     a node, source or sink has a new name: what the store\n"
"                           keeps of OLD is NEW's\n"
"      --drop-state NODE    forget the state and timers of a node; or how far a\n"
"                           source was read that the job no longer has; or what\n"
"                           was forwarded to an outside sink and what was not yet\n"
"      --rewind SOURCE=earliest|OFFSET\n"
"                           read a source again: from its beginning, even if it\n"
"                           is another input by now, or all its partitions from\n"
"                           OFFSET; state stays, unless dropped as well\n"
"      --marker-from store  a Kafka sink whose marker is gone goes on from what\n"
"                           the store knows; see KAFKA.md first\n"
"\n"
"What it shows\n"
"      --stats FILE|-       a JSON line a second, and one with totals at the end\n"
"  -q, --quiet              only warnings and errors\n"
"  -v, --verbose            more: inputs, epochs, checkpoints, retries\n"
"\n"
"Exit codes\n"
"  0 done or stopped   64 misspelt option, name or URI   65 bad data\n"
"  66 no such input or job   69 nobody reads a FIFO, no broker   70 a bug\n"
"  74 I/O error, disk full   75 store in use, try again   77 not permitted\n"
"  78 another job's store, newer format, other ABI\n";
static const char help_examples[] =
"\n"
"Examples\n"
"  weir run build/examples/wordcount.so -i lines=file:book.txt\n"
"  weir run ./count.so -i in=gen:keyed?records=1000000 -o out=log:counts\n"
"  weir run wordcount.so -i lines=kafka://localhost:9092/lines \\\n"
"      -o counts=kafka://localhost:9092/counts\n";
/* clang-format on */

/* ---- Options into wr_run_options ------------------------------------------------------------- */

struct arguments {
    struct wr_run_options run;
    const char *job; /* JOB.so; NULL: none yet */
    bool takes_job;
    struct wr_arena arena; /* what config files say */
    const char *command;
};

static weir_status set_delivery(struct wr_run_options *run, const char *value,
                                struct wr_error *error)
{
    if (wr_delivery_parse(value, &run->delivery)) {
        return WEIR_OK;
    }
    const char *const choices[] = {"exactly-once", "at-least-once", "at-most-once", NULL};
    int index = 0;
    return wr_option_choice("--delivery", value, choices, &index, error);
}

static weir_status set_sync(struct wr_run_options *run, const char *value, struct wr_error *error)
{
    const char *const choices[] = {"full", "normal", "off", NULL};
    const enum wr_sync syncs[] = {WR_SYNC_FULL, WR_SYNC_NORMAL, WR_SYNC_OFF};
    int index = 0;
    WR_TRY(wr_option_choice("--sync", value, choices, &index, error));
    run->sync = syncs[index];
    return WEIR_OK;
}

static weir_status set_on_error(struct wr_run_options *run, const char *value,
                                struct wr_error *error)
{
    const char *const choices[] = {"stop", "reject", NULL};
    int index = 0;
    WR_TRY(wr_option_choice("--on-error", value, choices, &index, error));
    run->reject_failures = index == 1;
    return WEIR_OK;
}

/* The options that are numbers and sizes. */
static weir_status set_number(struct wr_run_options *run, const struct wr_option *option,
                              const char *value, struct wr_error *error)
{
    switch ((enum option_id)option->id) {
    case OPTION_EPOCH_RECORDS:
        return wr_option_number("--epoch-records", value, 1, WR_EPOCH_RECORDS_MAX,
                                &run->epoch_records, error);
    case OPTION_EPOCH_MS:
        return wr_option_number("--epoch-ms", value, 1, WR_EPOCH_MS_MAX, &run->epoch_ms, error);
    case OPTION_POSITIONS_MS:
        return wr_option_number("--positions-ms", value, 0, MS_MAX, &run->positions_ms, error);
    case OPTION_FORWARD_MS:
        return wr_option_number("--forward-ms", value, 1, MS_MAX, &run->forward_ms, error);
    case OPTION_REJECTS_MAX:
        return wr_option_number("--rejects-max", value, 0, INT64_MAX, &run->rejects_max, error);
    case OPTION_CACHE:
        return wr_option_size("--cache", value, 0, CACHE_BYTES_MAX, &run->cache_bytes, error);
    default:
        return wr_option_size("--wal-max", value, WAL_BYTES_MIN, CACHE_BYTES_MAX,
                              &run->wal_bytes_max, error);
    }
}

static weir_status add_setting(struct wr_settings *settings, const struct wr_option *option,
                               const char *value, struct wr_error *error)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "--%s is \"%s\"; it takes %s",
                       option->name, value, option->takes);
    }
    return wr_settings_add(settings, value, error);
}

/* Of a node; kept as a setting without a value. */
static weir_status add_name(struct wr_settings *settings, const struct wr_option *option,
                            const char *value, struct wr_error *error)
{
    char text[WR_NAME_BYTES_MAX + 2];
    if (!wr_name_is_valid(value)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--%s is \"%.200s\"; it takes the name of a node", option->name, value);
    }
    snprintf(text, sizeof text, "%s=", value);
    return wr_settings_add(settings, text, error);
}

static weir_status set_marker_from(struct wr_run_options *run, const char *value,
                                   struct wr_error *error)
{
    const char *const choices[] = {"store", NULL};
    int index = 0;
    run->marker_from_store = true;
    return wr_option_choice("--marker-from", value, choices, &index, error);
}

static weir_status set_option(struct wr_run_options *run, const struct wr_option *option,
                              const char *value, struct wr_error *error)
{
    switch ((enum option_id)option->id) {
    case OPTION_INPUT:
        return add_setting(&run->inputs, option, value, error);
    case OPTION_OUTPUT:
        return add_setting(&run->outputs, option, value, error);
    case OPTION_DEFINE:
        return add_setting(&run->defines, option, value, error);
    case OPTION_PROPERTY:
        return wr_kafka_properties_add(&run->kafka, value, error);
    case OPTION_MARKER_FROM:
        return set_marker_from(run, value, error);
    case OPTION_STORE:
        run->store = value;
        break;
    case OPTION_DELIVERY:
        return set_delivery(run, value, error);
    case OPTION_SYNC:
        return set_sync(run, value, error);
    case OPTION_ON_ERROR:
        return set_on_error(run, value, error);
    case OPTION_RENAME:
        return add_setting(&run->renames, option, value, error);
    case OPTION_DROP_STATE:
        return add_name(&run->drop_states, option, value, error);
    case OPTION_REWIND:
        return add_setting(&run->rewinds, option, value, error);
    case OPTION_REJECTS:
        run->rejects = value;
        break;
    case OPTION_UNTIL_END:
        run->until_end = true;
        break;
    case OPTION_DRAIN:
        run->drain = true;
        break;
    case OPTION_CHECK:
        run->check = true;
        break;
    case OPTION_STATS:
        run->stats = value;
        break;
    case OPTION_QUIET:
        run->verbosity = -1;
        break;
    case OPTION_VERBOSE:
        run->verbosity = 1;
        break;
    case OPTION_CONFIG:
    case OPTION_HELP:
    case OPTION_VERSION: /* seen to before */
        break;
    default:
        return set_number(run, option, value, error);
    }
    return WEIR_OK;
}

static weir_status take_argument(void *context, const struct wr_option *option, const char *value,
                                 struct wr_error *error)
{
    struct arguments *arguments = context;
    if (option) {
        return set_option(&arguments->run, option, value, error);
    }
    if (!arguments->takes_job) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "\"%s\" is one argument too many; the job is built in", value);
    }
    if (arguments->job) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "two jobs, %s and %s; a run has one, and an option's value stands right "
                       "behind the option",
                       arguments->job, value);
    }
    arguments->job = value;
    return WEIR_OK;
}

/* The first pass reads config files alone, so that what the command line says comes later and wins,
 * wherever -c stands. */
static weir_status take_config(void *context, const struct wr_option *option, const char *value,
                               struct wr_error *error)
{
    struct arguments *arguments = context;
    if (!option || option->id != OPTION_CONFIG) {
        return WEIR_OK;
    }
    return wr_config_read(value, arguments->command, options, &arguments->arena, take_argument,
                          arguments, error);
}

static void arguments_init(struct arguments *arguments, const char *command, bool takes_job)
{
    *arguments = (struct arguments){.command = command, .takes_job = takes_job};
    wr_run_options_init(&arguments->run);
    wr_arena_init(&arguments->arena, 0);
}

static void arguments_fini(struct arguments *arguments)
{
    wr_run_options_fini(&arguments->run);
    wr_arena_fini(&arguments->arena);
}

static weir_status arguments_read(struct arguments *arguments, int argc, char **argv,
                                  struct wr_error *error)
{
    WR_TRY(
        wr_options_parse(arguments->command, options, argc, argv, take_config, arguments, error));
    return wr_options_parse(arguments->command, options, argc, argv, take_argument, arguments,
                            error);
}

/* ---- Running --------------------------------------------------------------------------------- */

static bool ask_version(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--version") == 0) {
            return true;
        }
    }
    return false;
}

static int run_job(struct wr_cli *cli, struct arguments *arguments, const char *name,
                   void (*define)(weir_job *))
{
    cli->env.level = (enum wr_level)((int)WR_LOG_NOTICE + arguments->run.verbosity);
    int code = wr_run(&cli->env, name, define, &arguments->run);
    return code ? code : wr_cli_end(cli); /* what it wrote to standard output may still fail */
}

static int run_file(struct wr_cli *cli, struct arguments *arguments)
{
    struct wr_job_file file;
    if (!arguments->job) {
        wr_fail(&cli->error, WEIR_MISUSE, WR_EXIT_USAGE,
                "JOB.so is missing, as in: weir run build/examples/wordcount.so; see "
                "weir run --help");
        return wr_cli_end(cli);
    }
    if (wr_job_file_open(arguments->job, &file, &cli->error) != WEIR_OK) {
        return wr_cli_end(cli);
    }
    int code = run_job(cli, arguments, file.name, file.define);
    wr_job_file_close(&file);
    return code;
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    struct arguments arguments;
    if (ask_version(argc, argv)) {
        wr_cli_version();
        return wr_cli_end(cli);
    }
    arguments_init(&arguments, "weir run", true);
    int code = arguments_read(&arguments, argc, argv, &cli->error) == WEIR_OK
                   ? run_file(cli, &arguments)
                   : wr_cli_end(cli);
    arguments_fini(&arguments);
    return code;
}

const struct wr_command wr_command_run = {
    "run", "[options] JOB.so", "run a job", options, {help_run, help_options, help_examples}, run,
};

int wr_cli_run_define(struct wr_cli *cli, const char *name, void (*define)(weir_job *), int argc,
                      char **argv)
{
    if (wr_options_ask_help(options, argc, argv)) {
        const struct wr_command command = {
            name, "[options]", "run this job", options, {help_built_in, help_options}, run};
        wr_cli_help(&command, NULL);
        return wr_cli_end(cli);
    }
    if (ask_version(argc, argv)) {
        wr_cli_version();
        return wr_cli_end(cli);
    }
    struct arguments arguments;
    arguments_init(&arguments, name, false);
    int code = arguments_read(&arguments, argc, argv, &cli->error) == WEIR_OK
                   ? run_job(cli, &arguments, name, define)
                   : wr_cli_end(cli);
    arguments_fini(&arguments);
    return code;
}
