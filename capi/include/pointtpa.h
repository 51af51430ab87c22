/* pointtpa: segments 3D scans. Made from src/ffi/ by `cargo xtask header`; do not edit.
 *
 * A function that can fail returns a status; what went wrong stands in pointtpa_last_error(), kept per thread. Where it
 * fails, what its out-parameters point to is left as it was.
 *
 * A handle is made by one function and freed by another, once, when no call uses it any more. Until then any number of
 * threads may use it at once. Handles do not depend on each other's lifetime: a device may be freed before its segmenters.
 *
 * Text is UTF-8 and ends with a zero.
 */

#ifndef POINTTPA_H
#define POINTTPA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// How a call ended.
enum PointtpaStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It did what it was to do.
  POINTTPA_STATUS_OK = 0,
  // An argument is null, of the wrong length, or out of its range.
  POINTTPA_STATUS_ARGUMENT = 1,
  // A file cannot be read or written, or what is in it cannot be used.
  POINTTPA_STATUS_INPUT = 2,
  // There is no such adapter, or it cannot be used.
  POINTTPA_STATUS_NO_ADAPTER = 3,
  // Memory ran out. The same handles can be used again, for less.
  POINTTPA_STATUS_OUT_OF_MEMORY = 4,
  // The GPU is gone: open a device anew.
  POINTTPA_STATUS_DEVICE_LOST = 5,
  // The caller asked to stop.
  POINTTPA_STATUS_CANCELLED = 6,
  // A fault of this library.
  POINTTPA_STATUS_INTERNAL = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum PointtpaStatus PointtpaStatus;
#else
typedef int32_t PointtpaStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The points of a scan.
typedef struct PointtpaCloud PointtpaCloud;

// A GPU, or the CPU.
typedef struct PointtpaDevice PointtpaDevice;

// The labels of a scan.
typedef struct PointtpaSegmentation PointtpaSegmentation;

// A model on a device.
typedef struct PointtpaSegmenter PointtpaSegmenter;

// Memory of a device, in bytes.
typedef struct PointtpaMemory {
  // Held by models and by what is being computed.
  uint64_t live;
  // The same, and what is kept for reuse.
  uint64_t held;
  // The limit of `held`.
  uint64_t budget;
} PointtpaMemory;

// A class.
typedef struct PointtpaClass {
  // Its name; it lives as long as the segmenter.
  const char *name;
  // Its colour: red, green and blue.
  uint8_t color[3];
} PointtpaClass;

// How to segment a scan. Fill it with zeros for the defaults.
typedef struct PointtpaOptions {
  // Edge of a voxel in metres; 0 takes the model's.
  double grid_size;
  // Look from 13 directions: more accurate, and many times slower.
  bool tta;
  // Told of every step, on the thread that called `pointtpa_segment`, or null. `stage` is valid during the call, `done`
  // is the share of the run, 0 to 1. It must not unwind or jump out.
  void (*progress)(const char *stage, double done, void *user);
  // Asked at every step, on the same thread, whether to stop; or null. The run then ends with `POINTTPA_STATUS_CANCELLED`.
  bool (*cancel)(void *user);
  // Handed to both.
  void *user;
} PointtpaOptions;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Reads a scan from a file.
PointtpaStatus pointtpa_cloud_read(const char *path, struct PointtpaCloud **cloud);

// Makes a scan of `n` points, copying what is given: `positions` `[n, 3]` in metres with z up; `colors` `[n, 3]`, red, green and
// blue in 0 to 255, or null; `normals` `[n, 3]`, or null, where they are estimated if the model wants them.
PointtpaStatus pointtpa_cloud_new(size_t n,
                                  const float *positions,
                                  const float *colors,
                                  const float *normals,
                                  struct PointtpaCloud **cloud);

// The number of points; 0 for null.
size_t pointtpa_cloud_len(const struct PointtpaCloud *cloud);

// Writes a scan with its labels as PLY: what a scan from a file had is kept. The file appears whole or not at all.
PointtpaStatus pointtpa_cloud_write(const struct PointtpaCloud *cloud,
                                    const struct PointtpaSegmentation *segmentation,
                                    const struct PointtpaSegmenter *segmenter,
                                    const char *path);

// Frees a scan; null is nothing.
void pointtpa_cloud_free(struct PointtpaCloud *cloud);

// Opens a device. `choice` is `"auto"` (a GPU, else the CPU; so is null), `"gpu"`, `"cpu"`, or part of an adapter's name;
// `budget` is the most bytes that it may hold, 0 for no limit.
PointtpaStatus pointtpa_device_open(const char *choice,
                                    uint64_t budget,
                                    struct PointtpaDevice **device);

// What a device holds.
PointtpaStatus pointtpa_device_memory(const struct PointtpaDevice *device, struct PointtpaMemory *memory);

// Frees a device; its segmenters go on. Null is nothing.
void pointtpa_device_free(struct PointtpaDevice *device);

// The number of points, which is the scan's; 0 for null.
size_t pointtpa_segmentation_len(const struct PointtpaSegmentation *segmentation);

// The number of voxels that the network saw; 0 for null.
size_t pointtpa_segmentation_voxels(const struct PointtpaSegmentation *segmentation);

// Copies the class of every point, in the order of the scan, to `labels`, which has room for `n`: as many as there are
// points. -1 stands where the coordinates are not finite.
PointtpaStatus pointtpa_segmentation_labels(const struct PointtpaSegmentation *segmentation,
                                            int32_t *labels,
                                            size_t n);

// Copies the probability of every point's label, 0 to 1, to `confidence`, which has room for `n`: as many as there are points.
PointtpaStatus pointtpa_segmentation_confidence(const struct PointtpaSegmentation *segmentation,
                                                float *confidence,
                                                size_t n);

// What a user should know about the run, from `index` 0 on; null where there is no more. It lives as long as the segmentation.
const char *pointtpa_segmentation_warning(const struct PointtpaSegmentation *segmentation,
                                          size_t index);

// Frees labels; null is nothing.
void pointtpa_segmentation_free(struct PointtpaSegmentation *segmentation);

// Brings a model file to a device; null takes the model for rooms that comes with the library.
PointtpaStatus pointtpa_segmenter_open(const struct PointtpaDevice *device,
                                       const char *path,
                                       struct PointtpaSegmenter **segmenter);

// The number of classes; 0 for null.
size_t pointtpa_segmenter_classes(const struct PointtpaSegmenter *segmenter);

// Tells `about` what label `index` stands for.
PointtpaStatus pointtpa_segmenter_class(const struct PointtpaSegmenter *segmenter,
                                        size_t index,
                                        struct PointtpaClass *about);

// Labels every point of a scan. `options` may be null.
PointtpaStatus pointtpa_segment(const struct PointtpaSegmenter *segmenter,
                                const struct PointtpaCloud *cloud,
                                const struct PointtpaOptions *options,
                                struct PointtpaSegmentation **segmentation);

// Frees a model; null is nothing.
void pointtpa_segmenter_free(struct PointtpaSegmenter *segmenter);

// What went wrong in this thread's last call that returned a status, and what to do about it; empty if nothing did. It stays
// valid until the thread's next such call.
const char *pointtpa_last_error(void);

// The version of the library, for example `0.1.0`.
const char *pointtpa_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* POINTTPA_H */
