/*
 * breakwater-child: the parent of the commands that speak MCP over their standard streams.
 *
 * It runs in the container of the user's image, needs nothing of it, and listens on a Unix socket
 * in a folder that it shares with the runtime. The runtime asks for children over that socket and
 * gets the pipes of each handed over, so that not one byte of MCP passes through here.
 *
 *   helper ── keeper ── command ── whatever the command starts
 *
 * Each child has a keeper, a fork of this program. The keeper is a subreaper: what a command starts
 * and abandons becomes the keeper's child, whatever group or session it moved to. When the command
 * ends, its keeper kills all of that before it reports and goes. A keeper whose helper is gone
 * does the same; a helper whose runtime is gone tells its keepers to.
 *
 * Messages, one per packet (SOCK_SEQPACKET):
 *   from the runtime   start ID pipes | start ID log | stop ID MILLISECONDS | kill ID
 *   to the runtime     started ID PID (with stdin and stdout, where pipes were asked for)
 *                      failed ID REASON | exited ID code N LINE | exited ID signal N LINE
 * LINE is the last that the command wrote to its standard error; it may be empty.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHILDREN_MAX = 1024,
    CONNECTIONS_MAX = 8,
    PACKET_MAX = 1024,
    LINE_MAX_BYTES = 2000,
    /* What a child may write to the log: so much at once, so much per second after that. */
    LOG_BURST_BYTES = 256 * 1024,
    LOG_BYTES_PER_SECOND = 64 * 1024,
    /* How long stdin may be closed without a child ending, when nobody said anything else. */
    GRACE_MILLISECONDS = 1000,
    SWEEP_MILLISECONDS = 10,
    LAST_WORDS_MILLISECONDS = 200,
};

struct options {
    const char *socket;
    const char *work;
    uid_t peer;
    rlim_t memory;
    char **command;
};

struct child {
    bool used;
    int connection; /* a number, not a descriptor: -1 once it is gone */
    char id[32];
    pid_t keeper;
    int link;
    int in, out; /* until they are handed over */
};

struct connection {
    int fd;
};

static struct options options = {.work = "/tmp"};
static struct child children[CHILDREN_MAX];
static struct connection connections[CONNECTIONS_MAX];

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static void die(const char *what) {
    dprintf(2, "breakwater-child: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The log. It is never waited for: a log that nobody reads must not keep a child alive. */

static void log_text(const char *id, const char *text, size_t length) {
    char line[LINE_MAX_BYTES + 64];
    int size = snprintf(line, sizeof line, "[%s] %.*s\n", id, (int)length, text);
    struct pollfd log = {.fd = 2, .events = POLLOUT};
    if (poll(&log, 1, 0) == 1 && log.revents & POLLOUT && write(2, line, size) < 0)
        return;
}

struct drain {
    const char *id;
    int fd;
    char line[LINE_MAX_BYTES];
    size_t length;
    char last[LINE_MAX_BYTES];
    long long budget, left_out, filled;
};

static void drain_line(struct drain *drain) {
    long long time = now();
    drain->budget += (time - drain->filled) * LOG_BYTES_PER_SECOND / 1000;
    drain->filled = time;
    if (drain->budget > LOG_BURST_BYTES)
        drain->budget = LOG_BURST_BYTES;
    if (drain->length == 0)
        return;
    memcpy(drain->last, drain->line, drain->length);
    drain->last[drain->length] = 0;
    if (drain->budget < (long long)drain->length) {
        drain->left_out += drain->length;
    } else {
        if (drain->left_out) {
            char said[64];
            int size = snprintf(said, sizeof said, "(%lld bytes left out)", drain->left_out);
            log_text(drain->id, said, size);
            drain->left_out = 0;
        }
        log_text(drain->id, drain->line, drain->length);
        drain->budget -= drain->length;
    }
    drain->length = 0;
}

/* Reads what is there; says whether there may be more. */
static bool drain_read(struct drain *drain) {
    char text[16384];
    ssize_t size = read(drain->fd, text, sizeof text);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    for (ssize_t i = 0; i < size; i++) {
        unsigned char letter = text[i];
        if (letter == '\n' || drain->length == sizeof drain->line - 1)
            drain_line(drain);
        if (letter != '\n')
            drain->line[drain->length++] = letter < 32 && letter != '\t' ? '?' : letter;
    }
    if (size == 0)
        drain_line(drain);
    return size > 0;
}

/* Everything below a process, found by who is whose parent. */

static pid_t parent_of(const char *process) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return -1;
    text[size] = 0;
    /* The name stands in brackets and may contain anything. */
    char *end = strrchr(text, ')');
    int parent;
    return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

static bool is_known(pid_t pid, const pid_t *known, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (known[i] == pid)
            return true;
    return false;
}

/* Signals every descendant of this process, but not those in `spared` nor what is below them. */
static void signal_descendants(int number, const pid_t *spared, size_t spared_count) {
    static pid_t found[8192];
    size_t count = 0, before;
    found[count++] = getpid();
    do {
        before = count;
        DIR *folder = opendir("/proc");
        struct dirent *entry;
        while (folder && (entry = readdir(folder))) {
            pid_t pid = atoi(entry->d_name);
            if (pid <= 0 || count == sizeof found / sizeof *found)
                continue;
            if (!is_known(pid, found, count) && !is_known(pid, spared, spared_count) &&
                is_known(parent_of(entry->d_name), found, count))
                found[count++] = pid;
        }
        if (folder)
            closedir(folder);
    } while (count > before);
    while (count > 1)
        kill(found[--count], number);
}

/* The keeper. */

struct keeper {
    struct drain drain;
    int link;
    pid_t command;
    bool ended;
    int status;
    long long term_at, kill_at; /* 0: never */
    char folder[PATH_MAX];
};

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *walk) {
    (void)s, (void)type, (void)walk;
    remove(path);
    return 0;
}

static bool make_folder(struct keeper *keeper, char *home, char *tmp) {
    snprintf(keeper->folder, sizeof keeper->folder, "%s/child-%s-XXXXXX", options.work,
             keeper->drain.id);
    if (!mkdtemp(keeper->folder))
        return false;
    snprintf(home, PATH_MAX + 8, "%s/home", keeper->folder);
    snprintf(tmp, PATH_MAX + 8, "%s/tmp", keeper->folder);
    return mkdir(home, 0700) == 0 && mkdir(tmp, 0700) == 0;
}

static void remove_folder(const struct keeper *keeper) {
    if (keeper->folder[0])
        nftw(keeper->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void become_command(int in, int out, int err, pid_t keeper, int failure) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(1);
    struct rlimit memory = {options.memory, options.memory};
    if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err, 2) >= 0 &&
        (!options.memory || setrlimit(RLIMIT_DATA, &memory) == 0))
        execvp(options.command[0], options.command);
    int code = errno;
    if (write(failure, &code, sizeof code) != sizeof code)
        _exit(126);
    _exit(127);
}

static void say(int fd, const char *format, ...) {
    char text[PACKET_MAX * 4];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (size >= (int)sizeof text)
        size = sizeof text - 1;
    send(fd, text, size, MSG_NOSIGNAL);
}

static void listen_to_helper(struct keeper *keeper) {
    char text[PACKET_MAX];
    long long milliseconds, time = now();
    ssize_t size = recv(keeper->link, text, sizeof text - 1, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    text[size > 0 ? size : 0] = 0;
    if (sscanf(text, "stop %lld", &milliseconds) == 1) {
        if (!keeper->kill_at) {
            keeper->term_at = time + milliseconds;
            keeper->kill_at = time + 2 * milliseconds;
        }
    } else { /* "kill", or there is no helper any more */
        keeper->kill_at = time;
        if (size <= 0) {
            close(keeper->link);
            keeper->link = -1;
        }
    }
}

static void reap(struct keeper *keeper) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == keeper->command) {
            keeper->ended = true;
            keeper->status = status;
        }
}

/* Kills until nobody is left: what is born meanwhile becomes a child of ours and is next. */
static void sweep(struct keeper *keeper) {
    int status;
    pid_t pid;
    for (;;) {
        signal_descendants(SIGKILL, NULL, 0);
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == keeper->command) {
                keeper->ended = true;
                keeper->status = status;
            }
        if (pid < 0 && errno == ECHILD)
            return;
        poll(NULL, 0, SWEEP_MILLISECONDS);
    }
}

static void watch(struct keeper *keeper, int signals) {
    while (!keeper->ended) {
        long long time = now();
        if (keeper->kill_at && time >= keeper->kill_at)
            return;
        if (keeper->term_at && time >= keeper->term_at) {
            kill(-keeper->command, SIGTERM);
            keeper->term_at = 0;
        }
        long long until = keeper->term_at ? keeper->term_at : keeper->kill_at;
        struct pollfd polled[] = {{.fd = keeper->link, .events = POLLIN},
                                  {.fd = signals, .events = POLLIN},
                                  {.fd = keeper->drain.fd, .events = POLLIN}};
        if (poll(polled, 3, until ? (int)(until - time) : -1) < 0 && errno != EINTR)
            return;
        if (polled[0].revents)
            listen_to_helper(keeper);
        if (polled[1].revents) {
            struct signalfd_siginfo info;
            while (read(signals, &info, sizeof info) > 0)
                ;
            reap(keeper);
        }
        if (polled[2].revents && !drain_read(&keeper->drain)) {
            close(keeper->drain.fd);
            keeper->drain.fd = -1;
        }
    }
}

static void last_words(struct drain *drain) {
    long long until = now() + LAST_WORDS_MILLISECONDS;
    struct pollfd polled = {.fd = drain->fd, .events = POLLIN};
    while (drain->fd >= 0 && now() < until && poll(&polled, 1, (int)(until - now())) == 1)
        if (!drain_read(drain))
            return;
    drain_line(drain);
}

static int signals_of(int first, int second) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    sigaddset(&set, second);
    sigprocmask(SIG_SETMASK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void keep(struct keeper *keeper, int in, int out, pid_t helper) {
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* SIGTERM wakes nobody: it is the link that ends with the helper. */
    int signals = signals_of(SIGCHLD, SIGTERM);
    char home[PATH_MAX + 8], tmp[PATH_MAX + 8];
    int err[2], failure[2], code = 0;
    /* A command without pipes is the only one of its container, whose home and /tmp are its own. */
    bool shares = out >= 0;
    if (getppid() != helper || pipe2(err, O_CLOEXEC) || pipe2(failure, O_CLOEXEC) ||
        (shares && !make_folder(keeper, home, tmp))) {
        say(keeper->link, "failed %s: %s", keeper->folder, strerror(errno));
        _exit(1);
    }
    if (shares) {
        setenv("HOME", home, 1);
        setenv("TMPDIR", tmp, 1);
    }
    pid_t self = getpid();
    keeper->command = fork();
    if (keeper->command == 0)
        become_command(in, out < 0 ? err[1] : out, err[1], self, failure[1]);
    close(in);
    if (out >= 0)
        close(out);
    close(err[1]);
    close(failure[1]);
    if (keeper->command < 0 || read(failure[0], &code, sizeof code) == sizeof code) {
        say(keeper->link, "failed %s: %s", options.command[0], strerror(code ? code : errno));
        sweep(keeper);
        remove_folder(keeper);
        _exit(1);
    }
    close(failure[0]);
    say(keeper->link, "started %d", keeper->command);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    keeper->drain.fd = err[0];
    keeper->drain.budget = LOG_BURST_BYTES;
    keeper->drain.filled = now();
    watch(keeper, signals);
    sweep(keeper);
    last_words(&keeper->drain);
    remove_folder(keeper);
    bool signalled = WIFSIGNALED(keeper->status);
    if (keeper->link >= 0)
        say(keeper->link, "exited %s %d %s", signalled ? "signal" : "code",
            signalled ? WTERMSIG(keeper->status) : WEXITSTATUS(keeper->status),
            keeper->drain.last);
    _exit(0);
}

/* The helper. */

static void tell(int connection, const char *text, int in, int out) {
    if (connection < 0 || connections[connection].fd < 0)
        return;
    struct iovec part = {.iov_base = (void *)text, .iov_len = strlen(text)};
    char space[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (in >= 0) {
        message.msg_control = space;
        message.msg_controllen = sizeof space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(header), (int[]){in, out}, 2 * sizeof(int));
    }
    sendmsg(connections[connection].fd, &message, MSG_NOSIGNAL);
}

static void forget(struct child *child) {
    close(child->link);
    if (child->in >= 0)
        close(child->in);
    if (child->out >= 0)
        close(child->out);
    child->used = false;
}

static void tell_failed(int connection, const char *id, const char *reason) {
    char text[PACKET_MAX];
    snprintf(text, sizeof text, "failed %s %s", id, reason);
    tell(connection, text, -1, -1);
}

static void start(int connection, const char *id, bool pipes) {
    struct child *child = NULL;
    for (int i = 0; i < CHILDREN_MAX && !child; i++)
        if (!children[i].used)
            child = &children[i];
    int link[2], in[2] = {-1, -1}, out[2] = {-1, -1};
    if (!child)
        return tell_failed(connection, id, "there are too many children");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link))
        return tell_failed(connection, id, strerror(errno));
    if (pipes ? pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)
              : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
        tell_failed(connection, id, strerror(errno));
        close(link[0]), close(link[1]);
        if (in[0] >= 0)
            close(in[0]);
        if (in[1] >= 0)
            close(in[1]);
        return;
    }
    *child = (struct child){.used = true, .connection = connection, .link = link[0]};
    child->in = in[1];
    child->out = out[0];
    snprintf(child->id, sizeof child->id, "%s", id);
    pid_t helper = getpid();
    child->keeper = fork();
    if (child->keeper == 0) {
        /* The other children's ends, and ours: a pipe that we kept open would never end. */
        for (int i = 0; i < CHILDREN_MAX; i++)
            if (children[i].used) {
                close(children[i].link);
                if (children[i].in >= 0)
                    close(children[i].in);
                if (children[i].out >= 0)
                    close(children[i].out);
            }
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (connections[i].fd >= 0)
                close(connections[i].fd);
        struct keeper keeper = {.link = link[1]};
        static char name[32];
        snprintf(name, sizeof name, "%s", id);
        keeper.drain.id = name;
        keeper.drain.fd = -1;
        keep(&keeper, in[0], out[1], helper);
    }
    close(link[1]);
    close(in[0]);
    if (out[1] >= 0)
        close(out[1]);
    if (child->keeper < 0) {
        tell_failed(connection, id, strerror(errno));
        forget(child);
    }
}

static void hear_keeper(struct child *child) {
    char text[PACKET_MAX * 4], told[PACKET_MAX * 4 + 64], kind[16];
    ssize_t size = recv(child->link, text, sizeof text - 1, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    text[size > 0 ? size : 0] = 0;
    int length = 0;
    if (size <= 0) {
        /* The keeper itself was killed, and took its command along. */
        snprintf(told, sizeof told, "exited %s signal 9 ", child->id);
        tell(child->connection, told, -1, -1);
        forget(child);
        return;
    }
    sscanf(text, "%15s%n", kind, &length);
    snprintf(told, sizeof told, "%s %s%s", kind, child->id, text + length);
    if (strcmp(kind, "started") == 0) {
        tell(child->connection, told, child->in, child->out);
        if (child->in >= 0)
            close(child->in);
        if (child->out >= 0)
            close(child->out);
        child->in = child->out = -1;
        return;
    }
    tell(child->connection, told, -1, -1);
    forget(child);
}

static void obey(int connection, const char *text) {
    char verb[16], id[32], rest[32] = "";
    if (sscanf(text, "%15s %31s %31s", verb, id, rest) < 2)
        return;
    if (strcmp(verb, "start") == 0)
        return start(connection, id, strcmp(rest, "log") != 0);
    for (int i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &children[i];
        if (!child->used || child->connection != connection || strcmp(child->id, id) != 0)
            continue;
        if (strcmp(verb, "stop") == 0)
            say(child->link, "stop %lld", atoll(rest));
        else if (strcmp(verb, "kill") == 0)
            say(child->link, "kill");
    }
}

static void stop_all(int connection) {
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (children[i].used && (connection < 0 || children[i].connection == connection)) {
            say(children[i].link, "stop %d", GRACE_MILLISECONDS);
            children[i].connection = -1;
        }
}

static void hear_runtime(int connection) {
    char text[PACKET_MAX];
    ssize_t size = recv(connections[connection].fd, text, sizeof text - 1, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size > 0) {
        text[size] = 0;
        obey(connection, text);
        return;
    }
    close(connections[connection].fd);
    connections[connection].fd = -1;
    stop_all(connection);
}

static void admit(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) || peer.uid != options.peer) {
        dprintf(2, "breakwater-child: refused user %d, which is not --peer %d\n", (int)peer.uid,
                (int)options.peer);
        close(fd);
        return;
    }
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (connections[i].fd < 0) {
            connections[i].fd = fd;
            return;
        }
    close(fd);
}

/* Reaps, and kills what was left to us because its keeper was killed. */
static void reap_strays(void) {
    int status;
    pid_t keepers[CHILDREN_MAX];
    size_t count = 0;
    while (waitpid(-1, &status, WNOHANG) > 0)
        ;
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (children[i].used)
            keepers[count++] = children[i].keeper;
    signal_descendants(SIGKILL, keepers, count);
}

static int listener_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(path);
    mode_t before = umask(0117);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 8))
        die(path);
    umask(before); /* the commands inherit it */
    return fd;
}

static bool any_child(void) {
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (children[i].used)
            return true;
    return false;
}

static void serve(int listener, int signals) {
    static struct pollfd polled[2 + CONNECTIONS_MAX + CHILDREN_MAX];
    bool stopping = false;
    while (!stopping || any_child()) {
        polled[0] = (struct pollfd){.fd = stopping ? -1 : listener, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = signals, .events = POLLIN};
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            polled[2 + i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
        struct pollfd *links = polled + 2 + CONNECTIONS_MAX;
        for (int i = 0; i < CHILDREN_MAX; i++)
            links[i] = (struct pollfd){.fd = children[i].used ? children[i].link : -1,
                                       .events = POLLIN};
        if (poll(polled, sizeof polled / sizeof *polled, -1) < 0 && errno != EINTR)
            die("poll");
        for (int i = 0; i < CHILDREN_MAX; i++)
            if (links[i].revents && children[i].used)
                hear_keeper(&children[i]);
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (polled[2 + i].revents && connections[i].fd >= 0)
                hear_runtime(i);
        if (polled[0].revents)
            admit(listener);
        if (polled[1].revents) {
            struct signalfd_siginfo info;
            while (read(signals, &info, sizeof info) > 0)
                if (info.ssi_signo == SIGTERM && !stopping) {
                    stopping = true;
                    stop_all(-1);
                }
            reap_strays();
        }
    }
}

static int install(const char *target) {
    char text[65536];
    ssize_t size;
    int from = open("/proc/self/exe", O_RDONLY);
    int to = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    if (from < 0 || to < 0)
        die(target);
    while ((size = read(from, text, sizeof text)) > 0)
        if (write(to, text, size) != size)
            die(target);
    /* Whatever the umask: another user runs it. */
    if (size < 0 || fchmod(to, 0755) || close(to))
        die(target);
    return 0;
}

static void usage(void) {
    dprintf(2, "usage: breakwater-child --socket PATH [--peer UID] [--work FOLDER]\n"
               "         [--memory BYTES] -- COMMAND [ARGUMENT ...]\n"
               "       breakwater-child --install PATH\n");
    exit(2);
}

static unsigned long long number(const char *text, unsigned long long largest) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value > largest) {
        dprintf(2, "breakwater-child: %s: not a number from 0 to %llu\n", text, largest);
        exit(2);
    }
    return value;
}

int main(int count, char **arguments) {
    static const struct option known[] = {{"socket", required_argument, NULL, 's'},
                                          {"peer", required_argument, NULL, 'p'},
                                          {"work", required_argument, NULL, 'w'},
                                          {"memory", required_argument, NULL, 'm'},
                                          {"install", required_argument, NULL, 'i'},
                                          {0}};
    options.peer = geteuid();
    for (int option; (option = getopt_long(count, arguments, "+", known, NULL)) != -1;)
        switch (option) {
        case 's': options.socket = optarg; break;
        case 'p': options.peer = (uid_t)number(optarg, UINT32_MAX - 1); break;
        case 'w': options.work = optarg; break;
        case 'm': options.memory = (rlim_t)number(optarg, INT64_MAX); break;
        case 'i': return install(optarg);
        default: usage();
        }
    options.command = arguments + optind;
    if (!options.socket || !options.command[0])
        usage();
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        connections[i].fd = -1;
    /* The command has our user: it must not be able to reach into us. */
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN);
    int signals = signals_of(SIGCHLD, SIGTERM);
    serve(listener_at(options.socket), signals);
    unlink(options.socket);
    return 0;
}
