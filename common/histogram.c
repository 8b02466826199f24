#include "common/histogram.h"

void histogram_add(struct histogram *h, double seconds)
{
    static const double bounds[] = {
#define X(bound) bound,
        HISTOGRAM_BOUNDS(X)
#undef X
    };
    size_t i = 0;
    if (!(seconds > 0))
        seconds = 0;
    while (i < HISTOGRAM_BOUNDS_N && seconds > bounds[i])
        i++;
    h->counts[i]++;
    h->sum += seconds;
}

json_t *histogram_json(const struct histogram *h)
{
    json_t *counts = json_array();
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_N; i++)
        json_array_append_new(counts, json_integer((json_int_t)h->counts[i]));
    return json_pack("{so sf}", "counts", counts, "sum", h->sum);
}

const char *histogram_bound_text(size_t i)
{
    static const char *const texts[] = {
#define X(bound) #bound,
        HISTOGRAM_BOUNDS(X)
#undef X
            "+Inf"};
    return texts[i];
}
