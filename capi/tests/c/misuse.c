/* Calls everything as it should not be called: each must answer with a status, and none may crash. */
#include <pointtpa.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 400

static int failures = 0;

/* Expects a status, and a message that says `what`; an empty one for success. */
static void expect(int line, PointtpaStatus found, PointtpaStatus wanted, const char *what) {
    const char *message = pointtpa_last_error();
    if (found != wanted || (*what == '\0' ? *message != '\0' : strstr(message, what) == NULL)) {
        fprintf(stderr, "line %d: status %d, expected %d; '%s' does not say '%s'\n", line, (int)found, (int)wanted,
                message, what);
        ++failures;
    }
}
#define EXPECT(call, wanted, what) expect(__LINE__, (call), POINTTPA_STATUS_##wanted, (what))

static bool stop(void *user) {
    return ++*(int *)user > 3;
}

static bool stop_at_once(void *user) {
    (void)user;
    return true;
}

int main(void) {
    PointtpaDevice *device = NULL;
    PointtpaSegmenter *segmenter = NULL;
    PointtpaCloud *cloud = NULL, *none = NULL, *strange = NULL;
    PointtpaSegmentation *found = NULL;
    PointtpaMemory before, after;
    PointtpaClass class;
    static float positions[POINTS * 3];
    static int32_t labels[POINTS];
    static float confidence[POINTS];
    for (int i = 0; i < POINTS; ++i) {
        positions[i * 3] = (float)(i % 20) * 0.1f;
        positions[i * 3 + 1] = (float)(i / 20) * 0.1f;
    }

    EXPECT(pointtpa_device_open("no such adapter", 0, &device), NO_ADAPTER, "no such adapter");
    EXPECT(pointtpa_device_open("\xff", 0, &device), ARGUMENT, "choice is not UTF-8");
    EXPECT(pointtpa_device_open("cpu", 0, NULL), ARGUMENT, "device is null");
    EXPECT(pointtpa_device_open("cpu", 1 << 20, &device), OK, "");
    EXPECT(pointtpa_segmenter_open(device, NULL, &segmenter), OUT_OF_MEMORY, "out of memory");
    pointtpa_device_free(device);
    EXPECT(pointtpa_device_open("cpu", 0, &device), OK, "");
    EXPECT(pointtpa_device_memory(NULL, &before), ARGUMENT, "device is null");
    EXPECT(pointtpa_device_memory(device, NULL), ARGUMENT, "memory is null");

    EXPECT(pointtpa_segmenter_open(NULL, NULL, &segmenter), ARGUMENT, "device is null");
    EXPECT(pointtpa_segmenter_open(device, NULL, NULL), ARGUMENT, "segmenter is null");
    EXPECT(pointtpa_segmenter_open(device, "no/such/file", &segmenter), INPUT, "no/such/file");
    if (segmenter != NULL || none != NULL) ++failures;
    EXPECT(pointtpa_segmenter_open(device, NULL, &segmenter), OK, "");
    EXPECT(pointtpa_segmenter_class(segmenter, 1000, &class), ARGUMENT, "index is 1000");
    EXPECT(pointtpa_segmenter_class(NULL, 0, &class), ARGUMENT, "segmenter is null");
    EXPECT(pointtpa_segmenter_class(segmenter, 0, NULL), ARGUMENT, "about is null");

    EXPECT(pointtpa_cloud_read(NULL, &cloud), ARGUMENT, "path is null");
    EXPECT(pointtpa_cloud_read("no/such/scan", &cloud), INPUT, "no/such/scan");
    EXPECT(pointtpa_cloud_new(POINTS, NULL, NULL, NULL, &cloud), ARGUMENT, "positions is null");
    EXPECT(pointtpa_cloud_new((size_t)-1, positions, NULL, NULL, &cloud), ARGUMENT, "positions cannot have");
    EXPECT(pointtpa_cloud_new(POINTS, (float *)((char *)positions + 1), NULL, NULL, &cloud), ARGUMENT, "not aligned");
    EXPECT(pointtpa_cloud_new(POINTS, positions, NULL, NULL, NULL), ARGUMENT, "cloud is null");
    EXPECT(pointtpa_cloud_new(POINTS, positions, positions, NULL, &cloud), OK, "");
    EXPECT(pointtpa_cloud_new(0, positions, NULL, NULL, &none), OK, "");

    EXPECT(pointtpa_segment(NULL, cloud, NULL, &found), ARGUMENT, "segmenter is null");
    EXPECT(pointtpa_segment(segmenter, NULL, NULL, &found), ARGUMENT, "cloud is null");
    EXPECT(pointtpa_segment(segmenter, cloud, NULL, NULL), ARGUMENT, "segmentation is null");
    EXPECT(pointtpa_segment(segmenter, none, NULL, &found), ARGUMENT, "finite coordinates");
    PointtpaOptions options = {.grid_size = -1.0};
    EXPECT(pointtpa_segment(segmenter, cloud, &options, &found), ARGUMENT, "grid_size is -1");
    options.grid_size = 1e-9;
    EXPECT(pointtpa_segment(segmenter, cloud, &options, &found), ARGUMENT, "cells");
    EXPECT(pointtpa_device_memory(device, &before), OK, "");
    int steps = 0;
    options = (PointtpaOptions){.cancel = stop, .user = &steps};
    EXPECT(pointtpa_segment(segmenter, cloud, &options, &found), CANCELLED, "cancelled");
    options = (PointtpaOptions){.cancel = stop_at_once};
    EXPECT(pointtpa_segment(segmenter, cloud, &options, &found), CANCELLED, "cancelled");
    EXPECT(pointtpa_device_memory(device, &after), OK, "");
    if (found != NULL || before.live != after.live) ++failures;
    EXPECT(pointtpa_segment(segmenter, cloud, NULL, &found), OK, "");

    /* A device may go before its segmenters. */
    pointtpa_device_free(device);
    EXPECT(pointtpa_segmentation_labels(found, labels, POINTS - 1), ARGUMENT, "labels has room for 399");
    EXPECT(pointtpa_segmentation_labels(found, NULL, POINTS), ARGUMENT, "labels is null");
    EXPECT(pointtpa_segmentation_labels(NULL, labels, POINTS), ARGUMENT, "segmentation is null");
    EXPECT(pointtpa_segmentation_labels(found, labels, POINTS), OK, "");
    EXPECT(pointtpa_segmentation_confidence(found, confidence, POINTS + 1), ARGUMENT, "confidence has room for 401");
    EXPECT(pointtpa_segmentation_confidence(found, confidence, POINTS), OK, "");
    for (int i = 0; i < POINTS; ++i) {
        if (labels[i] < 0 || !(confidence[i] > 0.0f && confidence[i] <= 1.0f)) ++failures;
    }
    EXPECT(pointtpa_cloud_write(cloud, found, segmenter, "no/such/folder/out.ply"), INPUT, "no/such/folder");
    EXPECT(pointtpa_cloud_write(NULL, found, segmenter, "out.ply"), ARGUMENT, "cloud is null");
    EXPECT(pointtpa_cloud_new(7, positions, NULL, NULL, &strange), OK, "");
    EXPECT(pointtpa_cloud_write(strange, found, segmenter, "out.ply"), ARGUMENT, "400 labels, and there are 7 points");

    if (pointtpa_cloud_len(NULL) + pointtpa_segmentation_len(NULL) + pointtpa_segmentation_voxels(NULL) +
            pointtpa_segmenter_classes(NULL) != 0 || pointtpa_segmentation_warning(NULL, 0) != NULL ||
        pointtpa_segmentation_warning(found, 1000) != NULL || *pointtpa_version() == '\0') {
        ++failures;
    }
    pointtpa_segmentation_free(found);
    pointtpa_segmentation_free(NULL);
    pointtpa_cloud_free(strange);
    pointtpa_cloud_free(cloud);
    pointtpa_cloud_free(none);
    pointtpa_cloud_free(NULL);
    pointtpa_segmenter_free(segmenter);
    pointtpa_segmenter_free(NULL);
    pointtpa_device_free(NULL);
    if (failures > 0) fprintf(stderr, "%d failures\n", failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
