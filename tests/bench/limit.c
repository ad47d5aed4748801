/* The limit: what recording cannot cost less than. Receives what cameras send, encrypts it, writes it down; looks at none of it.
 *
 *     limit PORT NAME CAMERAS FILE
 *
 * One thread, a tick of 250 ms. Every second, or at 256 KiB, a camera's bytes are sealed with AES-256-GCM into one shared
 * buffer; every second that buffer goes to one preallocated file by one O_DIRECT write and one fdatasync. No RTP is parsed,
 * no header says whose bytes they are, nothing could be found again. On SIGTERM it prints how many bytes it received.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 250000000ull
#define COMMIT_NS 1000000000ull
#define CHUNK_BYTES_MAX (256u << 10)
#define CHUNK_EXTRA 48 /* room for a header of 32 bytes and a tag of 16 */
#define BATCH_BYTES_MAX (64u << 20)
#define FILE_BYTES (192ull << 20) /* then from the start again */
#define RECEIVE_BUFFER_BYTES (1 << 20)

struct camera {
    int link;
    size_t held;
    uint8_t bytes[CHUNK_BYTES_MAX];
};

static volatile sig_atomic_t is_over;
static EVP_CIPHER_CTX *cipher;
static uint8_t *batch;
static size_t batch_bytes;
static uint64_t sealed, received, place;
static int file;

static void on_term(int signal) { (void)signal; is_over = 1; }

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Ask one thing and read the answer to its end, byte by byte: it happens three times per camera. */
static void ask(int link, const char *method, const char *url, int number, const char *more) {
    char text[4096];
    int length = snprintf(text, sizeof text, "%s %s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n", method, url, number, more);
    if (send(link, text, (size_t)length, 0) != length) fail("send");
    for (length = 0; length < (int)sizeof text - 1; length++) {
        if (recv(link, text + length, 1, 0) != 1) fail("recv");
        text[length + 1] = 0;
        if (length >= 3 && !strcmp(text + length - 3, "\r\n\r\n")) break;
    }
    char *field = strcasestr(text, "Content-Length:"), body;
    for (long left = field ? atol(field + 15) : 0; left > 0; left--)
        if (recv(link, &body, 1, 0) != 1) fail("recv");
}

static void open_camera(struct camera *camera, int port, const char *name, int number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int size = RECEIVE_BUFFER_BYTES;
    char url[256];
    snprintf(url, sizeof url, "rtsp://127.0.0.1:%d/%s/%d", port, name, number);
    camera->link = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(camera->link, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (connect(camera->link, (struct sockaddr *)&address, sizeof address)) fail("connect");
    ask(camera->link, "DESCRIBE", url, 1, "Accept: application/sdp\r\n");
    ask(camera->link, "SETUP", url, 2, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
    ask(camera->link, "PLAY", url, 3, "Session: 1\r\n");
}

static void write_batch(void) {
    size_t size = (batch_bytes + 4095) & ~(size_t)4095;
    if (place + size > FILE_BYTES) place = 0;
    if (size && pwrite(file, batch, size, (off_t)place) != (ssize_t)size) fail("pwrite");
    place += size;
    batch_bytes = 0;
}

static void seal(struct camera *camera) {
    uint8_t nonce[12] = {0}, *sealed_bytes;
    int count;
    if (!camera->held) return;
    if (batch_bytes + camera->held + CHUNK_EXTRA > BATCH_BYTES_MAX - 4096) write_batch(); /* it was held up */
    sealed_bytes = batch + batch_bytes + 32;
    memcpy(nonce, &sealed, sizeof sealed);
    sealed++;
    if (!EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, nonce) ||
        !EVP_EncryptUpdate(cipher, sealed_bytes, &count, camera->bytes, (int)camera->held) ||
        !EVP_EncryptFinal_ex(cipher, sealed_bytes + count, &count) ||
        !EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, sealed_bytes + camera->held))
        exit(4);
    batch_bytes += camera->held + CHUNK_EXTRA;
    camera->held = 0;
}

static void receive(struct camera *camera) {
    for (;;) {
        size_t room = CHUNK_BYTES_MAX - camera->held;
        ssize_t count = recv(camera->link, camera->bytes + camera->held, room, MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN) fail("recv");
        if (count == 0) is_over = 1; /* the source has ended */
        if (count <= 0) return;
        received += (uint64_t)count;
        camera->held += (size_t)count;
        if (camera->held == CHUNK_BYTES_MAX) seal(camera);
        if ((size_t)count < room) return;
    }
}

static void commit(struct camera *cameras, int count) {
    for (int i = 0; i < count; i++) seal(&cameras[i]);
    write_batch();
    if (fdatasync(file)) fail("fdatasync");
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int port = atoi(argv[1]), count = atoi(argv[3]);
    uint8_t key[32];
    signal(SIGTERM, on_term);
    cipher = EVP_CIPHER_CTX_new();
    if (getentropy(key, sizeof key) || !EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, NULL)) return 4;
    struct camera *cameras = calloc((size_t)count, sizeof *cameras);
    batch = aligned_alloc(4096, BATCH_BYTES_MAX);
    file = open(argv[4], O_CREAT | O_WRONLY | O_DIRECT, 0600);
    if (file < 0 || !cameras || !batch) fail(argv[4]);
    if ((errno = posix_fallocate(file, 0, (off_t)FILE_BYTES))) fail("fallocate");
    for (int i = 0; i < count; i++) open_camera(&cameras[i], port, argv[2], i);
    uint64_t next_tick = now_ns(), next_commit = next_tick + COMMIT_NS;
    while (!is_over) {
        uint64_t now = now_ns();
        if (now < next_tick) {
            struct timespec wait = {0, (long)(next_tick - now)};
            nanosleep(&wait, NULL);
            continue;
        }
        next_tick += TICK_NS;
        for (int i = 0; i < count; i++) receive(&cameras[i]);
        if (now >= next_commit) {
            commit(cameras, count);
            next_commit += COMMIT_NS;
        }
    }
    commit(cameras, count);
    printf("{\"received\": %llu}\n", (unsigned long long)received);
    return 0;
}
