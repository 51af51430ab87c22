// Eye-dome lighting (Boucheny 2009): darkens a pixel by how much nearer its neighbours are. Points have no surface to light, and in
// the flat colours of classes their shape would be lost.

import {
  DepthTexture,
  FloatType,
  GLSL3,
  Mesh,
  NearestFilter,
  OrthographicCamera,
  PlaneGeometry,
  RawShaderMaterial,
  Scene,
  Vector2,
  WebGLRenderTarget,
  type PerspectiveCamera,
  type WebGLRenderer,
} from 'three';

const VERTEX = /* glsl */ `
in vec3 position;
void main() {
  gl_Position = vec4(position.xy, 0.0, 1.0);
}
`;

const FRAGMENT = /* glsl */ `
precision highp float;
precision highp sampler2D;
uniform sampler2D colors;
uniform sampler2D depths;
uniform float near;
uniform float far;
uniform float strength;
/** Pixels to a neighbour. */
uniform int radius;
out vec4 color;

float logDistance(float depth) {
  return log2(near * far / (far - depth * (far - near)));
}

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  float depth = texelFetch(depths, here, 0).r;
  if (depth >= 1.0) {
    color = vec4(0.0);
    return;
  }
  float mine = logDistance(depth);
  ivec2 last = textureSize(depths, 0) - 1;
  float nearer = 0.0;
  for (int i = 0; i < 8; i++) {
    float angle = 0.785398 * float(i);
    ivec2 there = clamp(here + ivec2(round(float(radius) * vec2(cos(angle), sin(angle)))), ivec2(0), last);
    // Bounded, so that what stands far before its background gets a line around it and not a bar.
    nearer += clamp(mine - logDistance(texelFetch(depths, there, 0).r), 0.0, 0.12);
  }
  color = vec4(texelFetch(colors, here, 0).rgb * exp(-strength * nearer / 8.0), 1.0);
}
`;

/** Found by eye. */
const STRENGTH = 12;

export class EyeDome {
  #target: WebGLRenderTarget;
  readonly #scene = new Scene();
  readonly #camera = new OrthographicCamera(-1, 1, 1, -1, 0, 1);
  readonly #material: RawShaderMaterial;

  constructor() {
    const depthTexture = new DepthTexture(1, 1, FloatType);
    this.#target = new WebGLRenderTarget(1, 1, { depthTexture, minFilter: NearestFilter, magFilter: NearestFilter });
    this.#material = new RawShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      depthTest: false,
      depthWrite: false,
      uniforms: {
        colors: { value: this.#target.texture },
        depths: { value: depthTexture },
        near: { value: 0.1 },
        far: { value: 100 },
        strength: { value: STRENGTH },
        radius: { value: 1 },
      },
    });
    const screen = new Mesh(new PlaneGeometry(2, 2), this.#material);
    screen.frustumCulled = false;
    this.#scene.add(screen);
  }

  set on(on: boolean) {
    this.#material.uniforms['strength']!.value = on ? STRENGTH : 0;
  }

  render(renderer: WebGLRenderer, scene: Scene, camera: PerspectiveCamera): void {
    const { width, height } = renderer.getDrawingBufferSize(new Vector2());
    this.#target.setSize(width, height);
    const { uniforms } = this.#material;
    uniforms['near']!.value = camera.near;
    uniforms['far']!.value = camera.far;
    uniforms['radius']!.value = Math.max(1, Math.round(renderer.getPixelRatio()));
    renderer.setRenderTarget(this.#target);
    renderer.clear();
    renderer.render(scene, camera);
    renderer.setRenderTarget(null);
    renderer.render(this.#scene, this.#camera);
  }
}
