// Products of float matrices that lie in the caches, and Adam's update.
// Built by kernels.py for the processor that it runs on; vectors are as wide as the machine's.
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define V 16 // floats of a vector
#elif defined(__AVX__)
#define V 8
#else
#define V 4
#endif
#define ROWS 6          // of a block that is kept in registers
#define COLUMNS (4 * V) // of the widest such block; kernels.py leaves room for 64

typedef int64_t count;
typedef float vec __attribute__((vector_size(V * 4), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(V * 4), aligned(4), may_alias));

// c[M, W * V] = bias + sum over p < k of a[i * row + p * step] * b[p * ldb ...]; ReLU keeps NaN.
// Each sum runs over p in order, so its bits hang neither on the block nor on the threads.
#define BLOCK(M, W) \
  static void block##M##_##W(count k, const float *a, count row, count step, const float *b, \
                             count ldb, float *c, count ldc, const float *bias, int relu) { \
    vec sum[M][W]; \
    for (int i = 0; i < M; i++) \
      for (int j = 0; j < W; j++) sum[i][j] = bias ? *(const vec *)(bias + j * V) : (vec){0}; \
    for (count p = 0; p < k; p++) { \
      vec w[W]; \
      for (int j = 0; j < W; j++) w[j] = *(const vec *)(b + p * ldb + j * V); \
      for (int i = 0; i < M; i++) { \
        float x = a[i * row + p * step]; \
        for (int j = 0; j < W; j++) sum[i][j] += x * w[j]; \
      } \
    } \
    for (int i = 0; i < M; i++) \
      for (int j = 0; j < W; j++) { \
        vec r = sum[i][j]; \
        if (relu) r = (vec)((mask)r & ~(mask)(r < 0)); \
        *(vec *)(c + i * ldc + j * V) = r; \
      } \
  }
#define BLOCKS(W) BLOCK(1, W) BLOCK(2, W) BLOCK(3, W) BLOCK(4, W) BLOCK(5, W) BLOCK(6, W)
#define NAMES(W) {0, block1_##W, block2_##W, block3_##W, block4_##W, block5_##W, block6_##W}
BLOCKS(1) BLOCKS(2) BLOCKS(4)
typedef void block(count, const float *, count, count, const float *, count, float *, count,
                   const float *, int);
static block *const blocks[3][ROWS + 1] = {NAMES(1), NAMES(2), NAMES(4)}; // V, 2V, 4V columns

// to[c][r] = from[r][c] for V x V numbers, by log2(V) rounds that exchange halves.
static inline void turn(const float *from, count ld, float *to, count ldto) {
  vec r[V];
  for (int i = 0; i < V; i++) r[i] = *(const vec *)(from + i * ld);
#define ROUND(h) \
  if (h < V) { \
    mask low, high; \
    for (int k = 0; k < V; k++) { \
      low[k] = k & h ? V + (k ^ h) : k; \
      high[k] = k & h ? V + k : k ^ h; \
    } \
    for (int i = 0; i < V; i++) \
      if (!(i & h)) { \
        vec x = r[i], y = r[i | h]; \
        r[i] = __builtin_shuffle(x, y, low); \
        r[i | h] = __builtin_shuffle(x, y, high); \
      } \
  }
  ROUND(1) ROUND(2) ROUND(4) ROUND(8)
  for (int i = 0; i < V; i++) *(vec *)(to + i * ldto) = r[i];
}

static void transpose(const float *from, count ld, float *to, count rows, count cols, count ldto) {
  count r = 0;
  for (; r + V <= rows; r += V) {
    count c = 0;
    for (; c + V <= cols; c += V) turn(from + r * ld + c, ld, to + c * ldto + r, ldto);
    for (; c < cols; c++)
      for (count q = r; q < r + V; q++) to[c * ldto + q] = from[q * ld + c];
  }
  for (; r < rows; r++)
    for (count c = 0; c < cols; c++) to[c * ldto + r] = from[r * ld + c];
}

// c[m, n] = a[m, k] b[k, n] + bias, with ReLU or not, and 0 where gate[m, n] is not above 0;
// c and gate have no gaps, and one stride of b is 1.
typedef struct {
  count m, n, k;
  const float *a;
  count a_row, a_column;
  const float *b;
  count b_row, b_column;
  float *c;
  const float *bias; // or 0
  count relu;
  const float *gate; // or 0
  float *space; // k * COLUMNS floats for each thread
  count threads;
} product;

// The slope of ReLU: where the gate is NaN, what comes passes, as in torch.
static void shut(float *restrict c, const float *restrict gate, count m, count n, count ld) {
  for (count q = 0; q < m; q++)
    for (count p = 0; p < n; p++) c[q * ld + p] = gate[q * ld + p] <= 0 ? 0 : c[q * ld + p];
}

// Rows i0 to i1 and columns j0 to j1 of a product.
static void part(const product *t, float *space, count i0, count i1, count j0, count j1) {
  for (count j = j0, wide; j < j1; j += wide) {
    count left = j1 - j, kind = left > 2 * V ? 2 : left > V, n;
    wide = V << kind;
    n = left < wide ? left : wide;
    const float *from = t->b + j * t->b_column, *panel = from, *bias = t->bias ? t->bias + j : 0;
    count ld = t->b_row;
    float padded[COLUMNS], block_[ROWS * COLUMNS];
    if (t->b_column != 1 || n < wide) { // copy the columns side by side, with zeros behind
      if (n < wide) memset(space, 0, sizeof(float) * t->k * wide);
      if (t->b_column != 1) transpose(from, t->b_column, space, n, t->k, wide);
      else
        for (count p = 0; p < t->k; p++)
          memcpy(space + p * wide, from + p * t->b_row, n * sizeof(float));
      panel = space;
      ld = wide;
    }
    if (bias && n < wide) {
      memset(padded, 0, sizeof padded);
      memcpy(padded, bias, n * sizeof(float));
      bias = padded;
    }
    for (count i = i0; i < i1; i += ROWS) {
      count m = i1 - i < ROWS ? i1 - i : ROWS;
      float *c = t->c + i * t->n + j;
      const float *a = t->a + i * t->a_row;
      int whole = n == wide;
      blocks[kind][m](t->k, a, t->a_row, t->a_column, panel, ld, whole ? c : block_,
                      whole ? t->n : wide, bias, t->relu);
      for (count q = 0; !whole && q < m; q++)
        memcpy(c + q * t->n, block_ + q * wide, n * sizeof(float));
      if (t->gate) shut(c, t->gate + i * t->n + j, m, n, t->n);
    }
  }
}

void multiply(const product *t) {
  if (t->threads <= 1) {
    part(t, t->space, 0, t->m, 0, t->n);
    return;
  }
  int by_rows = t->m >= t->n;
  count whole = by_rows ? t->m : t->n, unit = by_rows ? ROWS : COLUMNS;
  count each = ((whole + t->threads - 1) / t->threads + unit - 1) / unit * unit;
#pragma omp parallel for num_threads(t->threads) schedule(static, 1)
  for (count thread = 0; thread < t->threads; thread++) {
    count from = thread * each, to = from + each < whole ? from + each : whole;
    float *space = t->space + thread * t->k * COLUMNS;
    if (from >= to) continue;
    if (by_rows) part(t, space, from, to, 0, t->n);
    else part(t, space, 0, t->m, from, to);
  }
}

typedef struct {
  count size;
  float *weight;
  const float *gradient;
  float *mean, *square, *step;
} update;

// Numbers whose update one thread makes before it takes the next; threads change no bit of it.
#define CHUNK (1 << 14)
typedef struct {
  float rate, root, keep, first, second, kept, least;
} factors;

static void adam_chunk(count size, factors f, float *restrict w, const float *restrict g,
                       float *restrict mean, float *restrict square) {
  for (count i = 0; i < size; i++) {
    float m = mean[i] + f.first * (g[i] - mean[i]);
    float v = f.kept * square[i] + f.second * g[i] * g[i];
    mean[i] = m;
    square[i] = v;
    w[i] = f.keep * w[i] - f.rate * m / (sqrtf(v) * f.root + f.least);
  }
}

// Adam with decoupled decay (Kingma & Ba 2015; Loshchilov & Hutter 2019), in torch's order.
void adam(count number, const update *updates, double lr, double beta1, double beta2, double eps,
          double decay, count threads) {
  for (const update *u = updates; u < updates + number; u++) {
    double step = *u->step += 1;
    factors f = {lr / (1 - pow(beta1, step)), 1 / sqrt(1 - pow(beta2, step)), 1 - lr * decay,
                 1 - beta1, 1 - beta2, beta2, eps};
    count chunks = (u->size + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) if (threads > 1 && chunks > 4)
    for (count chunk = 0; chunk < chunks; chunk++) {
      count from = chunk * CHUNK, size = u->size - from < CHUNK ? u->size - from : CHUNK;
      adam_chunk(size, f, u->weight + from, u->gradient + from, u->mean + from, u->square + from);
    }
  }
}
