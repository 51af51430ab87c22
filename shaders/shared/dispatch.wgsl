// Flat index of a workgroup in a dispatch that was folded into two dimensions (`device::dispatch::fold`).
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
