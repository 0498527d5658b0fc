// Online steps of a self-organising map: row after row, the cell that is nearest and those about it
// on the grid move towards the row. What changes a cell measures its distance to the next row too,
// so that weights go through the caches once a row.
// Built by glial.core.native for the processor that it runs on.
#include <math.h>
#include <stdint.h>

typedef int64_t count;

// Gaussian of the squared distance, or a square of cells nearer than the radius in both directions.
static inline double influence(const double *one, const double *other, double radius, int bubble) {
  double x = one[0] - other[0], y = one[1] - other[1];
  if (bubble) return fabs(x) < radius && fabs(y) < radius;
  return exp(-(x * x + y * y) / (2 * radius * radius));
}

#define ONLINE(NAME, REAL) \
  void NAME(count num_rows, count cells, count size, const REAL *rows, REAL *weights, \
            const double *places, const double *radii, const double *rates, int bubble, \
            REAL *found) { \
    count nearest = 0; \
    double least = INFINITY; \
    for (count cell = 0; num_rows && cell < cells; cell++) { \
      const REAL *own = weights + cell * size; \
      REAL sum = 0; \
      _Pragma("omp simd reduction(+ : sum)") for (count i = 0; i < size; i++) { \
        REAL gap = rows[i] - own[i]; \
        sum += gap * gap; \
      } \
      if (sum < least) least = sum, nearest = cell; \
    } \
    for (count row = 0; row < num_rows; row++) { \
      const REAL *x = rows + row * size, *next = row + 1 < num_rows ? x + size : x; \
      const double *centre = places + 2 * nearest; \
      found[row] = (REAL)least; \
      least = INFINITY; \
      for (count cell = 0; cell < cells; cell++) { \
        REAL share = (REAL)(rates[row] * influence(places + 2 * cell, centre, radii[row], bubble)); \
        REAL *own = weights + cell * size, sum = 0; \
        _Pragma("omp simd reduction(+ : sum)") for (count i = 0; i < size; i++) { \
          REAL moved = own[i] + share * (x[i] - own[i]); \
          REAL gap = next[i] - moved; \
          own[i] = moved; \
          sum += gap * gap; \
        } \
        if (sum < least) least = sum, nearest = cell; \
      } \
    } \
  }

ONLINE(online_float, float)
ONLINE(online_double, double)
