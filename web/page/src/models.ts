// Which model is in use: the bundled one unless the user brings another, or an adapter for it.

import { announce } from './live';
import { isAdapter } from './model_file';
import { failed, say } from './notices';
import type { Page } from './page';
import type { ModelInfo } from './protocol';
import { withRecovery } from './recovery';

export class Models {
  /** Told when another model is in use; labels of the one before say nothing about it. */
  onChange: () => Promise<void> = () => Promise.resolve();

  readonly #page: Page;
  /** The model on its way; null if there is none yet, or if that has failed. */
  #ready: Promise<void> | null = null;

  constructor(page: Page) {
    this.#page = page;
    page.picker.onChoose = (name) => void this.#choose(name);
  }

  /** Sees to it that there is a model. */
  need(): Promise<void> {
    const { client, picker, modelName } = this.#page;
    this.#ready ??= (async () => {
      try {
        this.#use(modelName, await client.model(await picker.file(modelName)));
      } catch (error) {
        this.#ready = null;
        throw error;
      }
    })();
    return this.#ready;
  }

  /** A model or an adapter of the user's. */
  async open(file: File): Promise<void> {
    const { client, picker, modelName } = this.#page;
    const named = { name: file.name, file };
    if (await isAdapter(file)) {
      await this.need().catch(failed);
      await this.#change(`Laying ${file.name} over ${modelName}`, modelName, () => client.applyAdapter(named));
      return;
    }
    await this.#change(`Loading ${file.name}`, file.name, async () => {
      const info = await client.model(named);
      picker.add(named);
      return info;
    });
  }

  async removeAdapter(): Promise<void> {
    const { client, modelName } = this.#page;
    await this.#change('Taking the adapter off', modelName, () => client.removeAdapter());
  }

  async #choose(name: string): Promise<void> {
    const { client, picker } = this.#page;
    await this.#change(`Loading ${name}`, name, async () => client.model(await picker.file(name)));
  }

  async #change(title: string, name: string, load: () => Promise<ModelInfo>): Promise<void> {
    const { client, jobs, picker } = this.#page;
    try {
      this.#use(name, await jobs.run(title, () => withRecovery(client, load, say)));
      this.#ready = Promise.resolve();
      announce(`The model is ${name}`);
      await this.onChange();
    } catch (error) {
      // The choice goes back to what is in use.
      picker.draw();
      failed(error);
    }
  }

  #use(name: string, info: ModelInfo): void {
    const page = this.#page;
    page.modelName = name;
    page.model = info;
    page.beforeLesson = null;
    page.picker.show(name, info);
    page.plan.reset(info.gridSize);
    page.teach.reset(info.labels.classes);
  }
}
