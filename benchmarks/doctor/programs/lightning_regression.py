import logging
import sys
import warnings

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from sklearn.datasets import make_friedman2
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Data(pl.LightningDataModule):
    def __init__(self, seed):
        super().__init__()
        x, y = make_friedman2(900, noise=20.0, random_state=seed)
        x, y = torch.tensor(x).float(), torch.tensor(y).float().unsqueeze(1)
        x = (x - x[:700].mean(0)) / x[:700].std(0)
        y = (y - y[:700].mean()) / y[:700].std()
        self.x_train, self.y_train, self.x_val, self.y_val = x[:700], y[:700], x[700:], y[700:]

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.x_train, self.y_train), batch_size=32, shuffle=True)

    def val_dataloader(self):
        return DataLoader(TensorDataset(self.x_val, self.y_val), batch_size=200)


class Regression(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(4, 48)
        self.layer2 = nn.Linear(48, 48)
        self.layer3 = nn.Linear(48, 1)
        self.errors = []

    def forward(self, x):
        x = torch.relu(self.layer1(x))
        x = torch.relu(self.layer2(x))
        return self.layer3(x)

    def training_step(self, batch, _):
        x, y = batch
        loss = F.mse_loss(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, _):
        x, y = batch
        self.errors.append(1 - F.mse_loss(self(x), y).item() / y.var().item())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=3e-3)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)]


seed = int(sys.argv[1])
pl.seed_everything(seed)
model = Regression()
trainer = pl.Trainer(max_epochs=12, accelerator="cpu", logger=False, enable_checkpointing=False,
                     enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0)
trainer.fit(model, datamodule=Data(seed))
print("score", model.errors[-1])
