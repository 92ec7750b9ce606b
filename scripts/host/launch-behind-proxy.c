/*
 * Starts a QEMU whose monitor is reached through a proxy, while whoever connects to it still finds the QEMU's own
 * process behind the socket: the kernel answers SO_PEERCRED with the process that called listen(), and this process
 * listens before it becomes the QEMU. A child, which ends with the QEMU, passes each connection on to the proxy.
 *
 * launch-behind-proxy MONITOR PROXY COMMAND...: both are paths of UNIX sockets.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "%s is too long for a socket\n", path);
        exit(1);
    }
    strcpy(address.sun_path, path);
    return address;
}

static void end_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
}

/* Copies what one side has sent; 0 at its end. */
static int copy(int from, int to)
{
    char bytes[4096];
    ssize_t count = read(from, bytes, sizeof bytes);
    for (ssize_t written = 0; written < count;) {
        ssize_t more = write(to, bytes + written, count - written);
        if (more <= 0)
            return 0;
        written += more;
    }
    return count > 0;
}

static void relay(int client, const char *proxy_path)
{
    struct sockaddr_un address = address_of(proxy_path);
    int proxy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy < 0 || connect(proxy, (struct sockaddr *)&address, sizeof address) < 0)
        die(proxy_path);
    struct pollfd ends[2] = {{.fd = client, .events = POLLIN}, {.fd = proxy, .events = POLLIN}};
    while (poll(ends, 2, -1) > 0) {
        if (ends[0].revents && !copy(client, proxy))
            break;
        if (ends[1].revents && !copy(proxy, client))
            break;
    }
    _exit(0);
}

static void serve(int listener, const char *proxy_path)
{
    signal(SIGCHLD, SIG_IGN);
    pid_t self = getpid();
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        if (fork() == 0) {
            close(listener);
            end_with_parent(self);
            relay(client, proxy_path);
        }
        close(client);
    }
}

int main(int count, char **words)
{
    if (count < 4) {
        fprintf(stderr, "usage: launch-behind-proxy MONITOR PROXY COMMAND...\n");
        return 1;
    }
    struct sockaddr_un address = address_of(words[1]);
    unlink(words[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0)
        die(words[1]);
    pid_t self = getpid();
    pid_t server = fork();
    if (server < 0)
        die("fork");
    if (server == 0) {
        end_with_parent(self);
        serve(listener, words[2]);
    }
    close(listener);
    execvp(words[3], words + 3);
    die(words[3]);
}
