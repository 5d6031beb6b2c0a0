from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("espi", "0004_element_publications_and_aliases")]

    operations = [
        migrations.AddField(
            model_name="authorizationrequest",
            name="came_from_utility",
            field=models.BooleanField(default=False, help_text="The utility has sent the customer, or sent him back."),
        ),
    ]
