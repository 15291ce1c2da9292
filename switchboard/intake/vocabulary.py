"""The names that senders give to the fields we know, as `mapping.plain_name` writes them."""

from collections.abc import Mapping

# The order is that of preference: of `mobile` and `fax` in one payload, the first in the list wins.
_NAMES: Mapping[str, str] = {
    "name": """
        fullname name contactname customername leadname personname displayname nombrecompleto
        nomcomplet nome nombre vollständigername vollstandigername ansprechpartner 氏名 姓名 お名前 名前 имя
        фио الاسم नाम
    """,
    "first_name": """
        firstname givenname forename fname prenom vorname primeiro primernombre voornaam förnamn
        fornamn imie first
    """,
    "last_name": """
        lastname surname familyname lname nachname familienname nomdefamille apellido apellidos
        sobrenome cognome achternaam efternamn nazwisko last
    """,
    "email": """
        email emailaddress emailid mail workemail businessemail companyemail personalemail
        primaryemail contactemail email1 emailadresse correo correoelectronico courriel adressemail
        adresseemail eposta epost メールアドレス メール 邮箱 电子邮件 почта البريدالإلكتروني ईमेल
    """,
    "phone": """
        phone phonenumber mobile mobilenumber mobilephone mobilephonenumber cell cellphone telephone
        telephonenumber tel phoneno mobileno contactnumber contactphone workphone workphonenumber
        primaryphone phone1 whatsapp whatsappnumber handy handynummer telefon telefonnummer mobil
        mobilnummer telefono movil celular telefone portable 電話番号 电话 手机 телефон الهاتف फोन
    """,
    "company": """
        company firm companyname organization organisation organizationname organisationname businessname
        business employer accountname firma firmenname unternehmen entreprise societe empresa azienda
        bedrijf 会社名 公司 компания
    """,
    "message": """
        message comments comment enquiry inquiry notes note question howcanwehelp howcanwehelpyou
        details description body nachricht anfrage bemerkung mensaje mensagem messaggio bericht
        お問い合わせ内容 留言 сообщение
    """,
    "value": """
        value betrag dealvalue leadvalue amount dealamount opportunityvalue opportunityamount budget revenue
        estimatedvalue expectedrevenue monetaryvalue
    """,
    "value_minor": "valueminor amountcents valuecents amountminor",
    "currency": "currency currencycode waehrung wahrung moneda devise",
    "stage": "stage leadstage dealstage prospectstage pipelinestage lifecyclestage leadstatus",
    "owner_hint": """
        owner owneremail leadowner assignedto assignee salesrep ownername owneridemailaddress
    """,
    "utm_source": "utmsource trafficsource sourceutm",
    "utm_medium": "utmmedium sourcemedium",
    "utm_campaign": "utmcampaign sourcecampaign campaignname campaign",
    "utm_term": "utmterm keyword",
    "utm_content": "utmcontent adname",
    "page_url": """
        pageurl pageuri landingpage landingpageurl sourceurl formurl referrerurl
    """,
    "consent": """
        consent gdprconsent marketingconsent optin emailoptin marketingoptin newsletter gdpr
        acceptsmarketing subscribe agree agreetoterms datenschutz
    """,
    "consent_text": "consenttext consenttoprocesstext consentwording gdprtext optintext",
    "locale": "locale language lang preferredlanguage sprache idioma",
    "time_zone": "timezone tz zoneinfo timezonename",
    "country": "country countrycode countryname land pays pais paese",
    "source_own_id": "submissionid responseid entryid eventid leadgenid formsubmissionid",
    "occurred_at": """
        occurredat submittedat createdat createdtime submissiondate submissiontime timestamp submitted
        createdon createdate datecreated
    """,
    "is_test": "istest testlead",
}
ALIASES: Mapping[str, tuple[str, ...]] = {target: tuple(names.split()) for target, names in _NAMES.items()}

# What senders put in front of a name that says nothing: `your-email`, `What's your name?`, `lead_email`.
FILLERS = (
    "whatisyour",
    "whatsyour",
    "pleaseenteryour",
    "enteryour",
    "your",
    "contact",
    "lead",
    "customer",
    "prospect",
    "visitor",
    "person",
    "user",
    "client",
    "billing",
    "field",
    "input",
)

# Under these a `name` or an `email` is not the person's: `form.name`, `owner.email`, `product.value`.
STRANGERS = frozenset(
    [
        "account",
        "ad",
        "adset",
        "agent",
        "assignee",
        "browser",
        "campaign",
        "company",
        "definition",
        "device",
        "event",
        "file",
        "form",
        "geo",
        "items",
        "list",
        "organisation",
        "organization",
        "owner",
        "page",
        "pipeline",
        "product",
        "products",
        "referrer",
        "salesrep",
        "session",
        "source",
        "tag",
        "tags",
        "tracking",
        "workflow",
    ]
)
