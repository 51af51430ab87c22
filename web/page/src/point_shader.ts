// How points are drawn. The same vertex shader serves the picture and the pass that asks which point is under the cursor, so that
// what is hidden cannot be picked.

/** Classes that the table of visibilities and colours has room for; the texture is that wide. */
export const TABLE = 1024;

/** Instead of a class: a point that is never drawn, for it has no finite coordinates. */
export const NOWHERE = 0xffff;

export const VERTEX = /* glsl */ `
precision highp float;
precision highp sampler2D;

uniform mat4 modelViewMatrix;
uniform mat4 modelMatrix;
uniform mat4 projectionMatrix;
uniform vec3 cameraPosition;
/** Metres. */
uniform float size;
/** Pixels that one metre at a distance of one metre takes. */
uniform float pixels;
uniform vec2 pixelRange;
/** Height above which nothing is drawn. */
uniform float cut;
uniform bool hideBehind;
/** How much darker than facing the viewer a surface seen from the side is, 0 to 1. */
uniform float relief;
/** Of every class id, moved up by one: red, green, blue, visible. */
uniform sampler2D classes;

in vec3 position;
in vec4 original;
in vec4 shade;
in vec4 normal;
/** The class and the painted class, ids moved up by one, 0 where there is none. */
in vec2 tag;

flat out vec3 left;
flat out vec3 right;
flat out uint id;

void main() {
  vec4 seen = modelViewMatrix * vec4(position, 1.0);
  vec3 world = (modelMatrix * vec4(position, 1.0)).xyz;
  bool visible = tag.x < ${NOWHERE}.0 && world.z <= cut;
  if (visible) visible = texelFetch(classes, ivec2(int(tag.x), 0), 0).a > 0.5;
  vec3 direction = mat3(modelMatrix) * normal.xyz;
  bool directed = dot(direction, direction) > 0.01;
  float facing = directed ? dot(direction, normalize(cameraPosition - world)) : 1.0;
  if (visible && hideBehind) visible = facing > 0.0;
  left = original.rgb;
  right = shade.rgb * (1.0 - relief * (1.0 - abs(facing)));
  if (tag.y > 0.0) left = right = texelFetch(classes, ivec2(int(tag.y), 0), 0).rgb;
  id = uint(gl_VertexID) + 1u;
  gl_Position = visible ? projectionMatrix * seen : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = visible ? clamp(size * pixels / max(-seen.z, 1e-6), pixelRange.x, pixelRange.y) : 0.0;
}
`;

const ROUND = /* glsl */ `
  vec2 offset = gl_PointCoord - 0.5;
  if (dot(offset, offset) > 0.25) discard;
`;

export const FRAGMENT = /* glsl */ `
precision highp float;
/** Pixels from the left: the original colours before it, the chosen ones after. */
uniform float split;
flat in vec3 left;
flat in vec3 right;
out vec4 color;
void main() {
  ${ROUND}
  color = vec4(gl_FragCoord.x < split ? left : right, 1.0);
}
`;

/** The number of the point, moved up by one, as four bytes. */
export const ID_FRAGMENT = /* glsl */ `
precision highp float;
precision highp int;
flat in uint id;
out vec4 bytes;
void main() {
  ${ROUND}
  bytes = vec4(id & 255u, (id >> 8) & 255u, (id >> 16) & 255u, id >> 24) / 255.0;
}
`;
